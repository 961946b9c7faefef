"""Cosines of two sets of embeddings, and the soft maximum over some of them."""

from typing import Final

from keras import ops

from facezoo.ops.vectors import Tensor, l2_normalize

# A logit that does not count: its exponential is 0 beside any other, and unlike an infinity it
# makes no NaN in a gradient.
MASKED: Final = -1e9


def cosine_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of every point of one set with every point of another.

    Args:
        a: float [A, D], of any length; a zero vector has cosine 0 with everything.
        b: float [B, D].

    Returns:
        float [A, B].

    Example:
        >>> cosine_similarity([[3.0, 0.0]], [[1.0, 0.0], [0.0, 2.0]]).numpy().tolist()
        [[1.0, 0.0]]
    """
    (unit_a, _), (unit_b, _) = (l2_normalize(ops.convert_to_tensor(points)) for points in (a, b))
    return ops.matmul(unit_a, ops.transpose(unit_b))


def masked_logsumexp(values: Tensor, is_counted: Tensor) -> Tensor:
    """`log(sum(exp(values)))` along the rows, over the marked values only.

    Args:
        values: float32 [A, N].
        is_counted: bool [A, N].

    Returns:
        float32 [A]; where nothing is marked, about -1e9, whose exponential and gradient are 0.
    """
    return ops.logsumexp(ops.where(is_counted, values, MASKED), axis=1)
