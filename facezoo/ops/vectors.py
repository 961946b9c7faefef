"""Vectors and their lengths, directions and cosines."""

from typing import Any

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
        `(embedding [..., D], norm [...])`; a zero vector gives a zero embedding and norm 0, and its
        gradient is 0: the slope there, 1e6, would overflow float16.
    """
    squared = ops.sum(ops.square(features), axis=-1)
    scale = ops.where(squared > 0, ops.rsqrt(ops.maximum(squared, _EPSILON)), 0.0)
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
    squared = ops.sum(ops.square(centers), axis=0, keepdims=True)
    # In place of `l2_normalize`, which would need the (large) transpose.
    unit_centers = centers * ops.rsqrt(ops.maximum(squared, _EPSILON))
    return ops.clip(ops.matmul(embedding, unit_centers), -1.0, 1.0)
