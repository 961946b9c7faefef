"""What every metric of many embeddings takes: rows of unit length, and a label each, checked."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TOLERANCE = 1e-3
_ROWS_AT_ONCE = 2**14


def check_embedding(embedding: ArrayLike, name: str = "embedding") -> NDArray[np.float32]:
    """Returns embeddings as float32 [N, D], contiguous.

    Raises:
        ValueError: There is none, the shape does not fit, or a row is not of unit length, which
            NaN and infinity never are.
    """
    embedding = np.ascontiguousarray(embedding, dtype=np.float32)
    if embedding.ndim != 2 or not embedding.size:
        raise ValueError(
            f"{name} must be [N, D], one row per image, with a row at least. "
            f"Received: shape={embedding.shape}."
        )
    squared = np.concatenate(
        [
            np.einsum("nd,nd->n", *2 * [embedding[start : start + _ROWS_AT_ONCE]])
            for start in range(0, len(embedding), _ROWS_AT_ONCE)
        ]
    )
    bad = np.flatnonzero(~(np.abs(squared - 1.0) <= 2 * _TOLERANCE))
    if bad.size:
        raise ValueError(
            f"{name} must have rows of unit length. Received: length "
            f"{np.sqrt(squared[bad[0]]):g} in row {bad[0]}, and {bad.size - 1} more. "
            "Divide each row by its length; a model that gives NaN has diverged."
        )
    return embedding


def check_labels(label: ArrayLike, num_rows: int, name: str = "label") -> NDArray[np.integer]:
    """Returns labels as integers [N].

    Raises:
        ValueError: They are no integers, or not one per row.
    """
    label = np.asarray(label)
    if label.shape != (num_rows,) or not np.issubdtype(label.dtype, np.integer):
        raise ValueError(
            f"{name} must be integers, one for each of {num_rows} rows. "
            f"Received: shape={label.shape}, dtype={label.dtype}."
        )
    return label


def check_same_dim(one: NDArray, other: NDArray) -> None:
    """Raises ValueError where two sets of embeddings are of different length."""
    if one.shape[1] != other.shape[1]:
        raise ValueError(
            "Embeddings must have the same length on both sides, from one model. "
            f"Received: {one.shape[1]} and {other.shape[1]} numbers."
        )
