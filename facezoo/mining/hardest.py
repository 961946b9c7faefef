"""The hardest of an anchor: its farthest positive, its nearest negative."""

from keras import ops

from facezoo.ops import Tensor


def hardest_positives(distances: Tensor, is_positive: Tensor) -> Tensor:
    """Returns the column of each anchor's farthest positive.

    Args:
        distances: float [A, N], anchor to candidate.
        is_positive: bool [A, N], the candidates to choose from.

    Returns:
        int32 [A, 1], of no meaning for an anchor without positives.
    """
    return _column(ops.where(is_positive, distances, float("-inf")))


def hardest_negatives(distances: Tensor, is_negative: Tensor) -> Tensor:
    """Returns the column of each anchor's nearest negative.

    Args:
        distances: float [A, N], anchor to candidate.
        is_negative: bool [A, N], the candidates to choose from.

    Returns:
        int32 [A, 1], of no meaning for an anchor without negatives.
    """
    return _column(ops.where(is_negative, -distances, float("-inf")))


def _column(scores: Tensor) -> Tensor:
    return ops.cast(ops.argmax(scores, axis=1), "int32")[:, None]
