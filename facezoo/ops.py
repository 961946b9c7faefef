"""Stateless tensor maths on `keras.ops`: normalisation, distances and cosines that stay finite."""

from collections.abc import Callable
from typing import Any, Final

from keras import ops

Tensor = Any
# Below this squared length a float32 vector has no usable direction.
_EPSILON = 1e-12


def safe_sqrt(x: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0 instead of infinite.

    Args:
        x: float tensor, any shape, values >= 0.
    """
    positive = x > 0
    # Both branches of a `where` are differentiated: the unused one must be finite as well.
    return ops.where(positive, ops.sqrt(ops.where(positive, x, ops.ones_like(x))), 0.0)


def l2_normalize(features: Tensor) -> tuple[Tensor, Tensor]:
    """Splits vectors into direction and length.

    Args:
        features: float [..., D].

    Returns:
        `(embedding [..., D], norm [...])`; a zero vector gives a zero embedding and norm 0.
    """
    squared = ops.sum(ops.square(features), axis=-1)
    scale = ops.rsqrt(ops.maximum(squared, _EPSILON))
    return features * scale[..., None], safe_sqrt(squared)


def take_in_row(values: Tensor, column: Tensor) -> Tensor:
    """`values[a, column[a, p]]` at [a, p]: float [A, N], int32 [A, P] -> [A, P].

    As `keras.ops.take_along_axis`, with less than half of its memory on TensorFlow.
    """
    num_rows, num_columns = ops.shape(values)
    start = ops.arange(num_rows, dtype="int32")[:, None] * num_columns
    return ops.take(values, start + column)


def cosine_logits(embedding: Tensor, centers: Tensor) -> Tensor:
    """Cosine of every embedding with every (not yet normalised) class centre.

    Args:
        embedding: float32 unit [B, D].
        centers: float32 [D, C].

    Returns:
        float32 [B, C] in [-1, 1].
    """
    unit_centers, _ = l2_normalize(ops.transpose(centers))
    return ops.clip(ops.matmul(embedding, ops.transpose(unit_centers)), -1.0, 1.0)


def pairwise_squared_l2(points: Tensor) -> Tensor:
    """Squared Euclidean distance of every row to every other: [B, D] -> [B, B], zero diagonal."""
    squared = ops.sum(ops.square(points), axis=1)
    gram = ops.matmul(points, ops.transpose(points))
    distances = ops.maximum(squared[:, None] - 2.0 * gram + squared[None, :], 0.0)
    # |a|^2 - 2ab + |b|^2 leaves rounding noise where a is b.
    return distances * (1.0 - ops.eye(ops.shape(points)[0], dtype=distances.dtype))


def pairwise_l2(points: Tensor) -> Tensor:
    """Euclidean distance of every row to every other: [B, D] -> [B, B]; gradient 0 at 0."""
    return safe_sqrt(pairwise_squared_l2(points))


def pairwise_cosine_distance(points: Tensor) -> Tensor:
    """One minus the cosine of every two rows: [B, D] -> [B, B]."""
    unit, _ = l2_normalize(points)
    return 1.0 - ops.matmul(unit, ops.transpose(unit))


# The names are tensorflow-addons'.
PAIRWISE_DISTANCES: Final = {
    "L2": pairwise_l2,
    "squared-L2": pairwise_squared_l2,
    "angular": pairwise_cosine_distance,
}


def pairwise_distance(metric: str | Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Returns the function [B, D] -> [B, B] behind a name; a function is its own.

    Raises:
        ValueError: The name is unknown.
    """
    if callable(metric):
        return metric
    if metric not in PAIRWISE_DISTANCES:
        raise ValueError(
            f"Unknown distance {metric!r}. Known: {', '.join(PAIRWISE_DISTANCES)}; "
            "or a function from points [B, D] to distances [B, B]."
        )
    return PAIRWISE_DISTANCES[metric]
