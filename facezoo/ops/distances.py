"""Distances between embeddings, by name: of every two in a batch, of two sets, and in blocks.

| name | distance of a and b | range for unit vectors |
|---|---|---|
| `"L2"` | length of a - b | 0 .. 2 |
| `"squared-L2"` | its square | 0 .. 4 |
| `"angular"`, `"cosine"` | 1 - cosine (tensorflow-addons' and everybody else's name) | 0 .. 2 |
| `"manhattan"` | sum of absolute differences | 0 .. 2 sqrt(D) |
| `"angle"` | the angle itself, in radians | 0 .. pi |

A name is saved with a loss as it is. A function takes the place of a name: registered with
`keras.saving.register_keras_serializable`, it is saved as well.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from keras import backend, ops

from facezoo.ops.vectors import Tensor, l2_normalize, safe_sqrt

CrossDistance = Callable[[Tensor, Tensor], Tensor]


def _with_gradient(
    distance: CrossDistance,
    weigh: Callable[[Tensor, Tensor], Tensor],
    pull: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> CrossDistance:
    """Gives a distance a gradient of its own, in place of the one that would be traced through it.

    Args:
        distance: (a [A, D], b [B, D]) -> [A, B].
        weigh: (`d loss / d distances`, distances) -> weights, all [A, B].
        pull: (weights, a, b) -> `d loss / d a` [A, D].
    """

    def forward(a: Tensor, b: Tensor) -> tuple[Tensor, Callable[..., tuple[Tensor, Tensor]]]:
        found = distance(a, b)

        def gradient(*arguments: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, Tensor]:
            # On PyTorch Keras names the upstream gradient, elsewhere it is the only argument.
            weights = weigh(arguments[0] if upstream is None else upstream, found)
            return pull(weights, a, b), pull(ops.transpose(weights), b, a)

        return found, gradient

    return ops.custom_gradient(forward)


def _expanded_square(a: Tensor, b: Tensor) -> Tensor:
    # In float32 the root of the expanded square loses half of its digits where a is near b. JAX has
    # float32 only, unless told otherwise, and some of PyTorch's devices too.
    wide = "float64" if backend.backend() == "tensorflow" else a.dtype
    wide_a, wide_b = ops.cast(a, wide), ops.cast(b, wide)
    square_a, square_b = (
        ops.sum(ops.square(points), axis=1, keepdims=True) for points in (wide_a, wide_b)
    )
    # One product makes -2ab + |a|^2 + |b|^2, without a wide [A, B] for each of the terms.
    left = ops.concatenate([-2.0 * wide_a, square_a, ops.ones_like(square_a)], axis=1)
    right = ops.concatenate([wide_b, ops.ones_like(square_b), square_b], axis=1)
    # Rounding may take it below 0.
    return ops.maximum(ops.cast(ops.matmul(left, ops.transpose(right)), a.dtype), 0.0)


def _pull_of_differences(weights: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return ops.sum(weights, axis=1, keepdims=True) * a - ops.matmul(weights, b)


def _sum_of_differences(a: Tensor, b: Tensor) -> Tensor:
    return ops.map(lambda row: ops.sum(ops.abs(row - b), axis=1), a)


def _pull_of_signs(weights: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return ops.map(lambda row: ops.matmul(row[0], ops.sign(row[1] - b)), (weights, a))


_squared_l2 = _with_gradient(_expanded_square, lambda share, _: 2.0 * share, _pull_of_differences)
_l2 = _with_gradient(
    lambda a, b: ops.sqrt(_expanded_square(a, b)), ops.divide_no_nan, _pull_of_differences
)
# Row by row both ways: left to itself, the gradient would keep all A x B x D differences.
_manhattan = _with_gradient(_sum_of_differences, lambda share, _: share, _pull_of_signs)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    (unit_a, _), (unit_b, _) = l2_normalize(a), l2_normalize(b)
    return 1.0 - ops.matmul(unit_a, ops.transpose(unit_b))


def _angle(a: Tensor, b: Tensor) -> Tensor:
    (unit_a, _), (unit_b, _) = l2_normalize(a), l2_normalize(b)
    across, along = _squared_l2(unit_a, unit_b), _squared_l2(unit_a, -unit_b)
    return 2.0 * ops.arctan2(safe_sqrt(across), safe_sqrt(along))


DISTANCES: Final[Mapping[str, CrossDistance]] = {
    "L2": _l2,
    "squared-L2": _squared_l2,
    "angular": _cosine,
    "cosine": _cosine,
    "manhattan": _manhattan,
    "angle": _angle,
}


def cross_distance(metric: str) -> CrossDistance:
    """Returns the function behind a name: (a [A, D], b [B, D]) -> [A, B].

    Args:
        metric: A name of `DISTANCES`.

    Raises:
        ValueError: The name is unknown.

    Numerics:
        float16 and bfloat16 points are taken as float32. The gradient is finite everywhere, and 0
        where a distance with a corner is 0. Squares are expanded, on TensorFlow in float64, so that
        small distances and small angles keep their digits. `"manhattan"` goes row by row, in memory
        of O(A B), at some cost in time.

    Example:
        >>> float(cross_distance("manhattan")([[0.0, 0.0]], [[3.0, 4.0]])[0, 0])
        7.0
    """
    if metric not in DISTANCES:
        raise ValueError(
            f"Unknown distance {metric!r}. Known: {', '.join(DISTANCES)}; "
            "or, in a loss, a function from points [B, D] to distances [B, B]."
        )
    return lambda a, b: DISTANCES[metric](_precise(a), _precise(b))


def pairwise_distance(metric: str | Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Returns the function [B, D] -> [B, B] behind a name; a function is its own.

    Args:
        metric: A name of `DISTANCES`, whose diagonal is then exactly 0, or a function.

    Raises:
        ValueError: The name is unknown.

    Example:
        >>> pairwise_distance("L2")([[0.0, 0.0], [3.0, 4.0]]).numpy().tolist()
        [[0.0, 5.0], [5.0, 0.0]]
    """
    if callable(metric):
        return metric
    distance = cross_distance(metric)

    def pairwise(points: Tensor) -> Tensor:
        distances = distance(points, points)
        # Of a point to itself: rounding leaves something, and the root of it much.
        return ops.where(ops.eye(ops.shape(distances)[0], dtype="bool"), 0.0, distances)

    return pairwise


def distance_blocks(
    a: Tensor, b: Tensor, metric: str = "squared-L2", block_size: int = 1024
) -> Iterator[tuple[slice, Tensor]]:
    """Yields the distances of a large set to another, some rows at a time, in bounded memory.

    Args:
        a: float [A, D].
        b: float [B, D].
        metric: A name of `DISTANCES`.
        block_size: Rows of `a` in a block, at least 1.

    Yields:
        `(rows, distances [<= block_size, B])`: a slice of `a`, and its distances to all of `b`.

    Raises:
        ValueError: The name is unknown, or `block_size` is below 1.

    Example:
        >>> import numpy as np
        >>> points = np.eye(3)
        >>> [rows for rows, _ in distance_blocks(points, points, block_size=2)]
        [slice(0, 2, None), slice(2, 3, None)]
    """
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1. Received: block_size={block_size}.")
    distance = cross_distance(metric)
    for start in range(0, len(a), block_size):
        rows = slice(start, min(start + block_size, len(a)))
        yield rows, distance(a[rows], b)


def _precise(points: Tensor) -> Tensor:
    points = ops.convert_to_tensor(points)
    is_low = backend.standardize_dtype(points.dtype) in ("float16", "bfloat16")
    return ops.cast(points, "float32") if is_low else points
