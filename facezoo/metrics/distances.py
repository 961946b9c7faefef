"""What every verification metric takes: distances of genuine and of impostor pairs, checked."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Distances = NDArray[np.float64]


def check_distances(genuine: ArrayLike, impostor: ArrayLike) -> tuple[Distances, Distances]:
    """Returns both kinds of distances as float64 arrays.

    Args:
        genuine: float [G], distances of pairs of one person, G >= 1; small means alike.
        impostor: float [I], distances of pairs of two people, I >= 1.

    Raises:
        ValueError: One kind is empty, is not one-dimensional, or holds NaN or infinity.
    """
    return _check(genuine, "genuine"), _check(impostor, "impostor")


def _check(distances: ArrayLike, kind: str) -> Distances:
    # float64 also where float32 comes in: a float32 array would round the threshold it is
    # compared with, and a pair could land on the wrong side.
    distances = np.asarray(distances, dtype=np.float64)
    if distances.ndim != 1:
        raise ValueError(
            f"{kind} distances must be one-dimensional, one number per pair. "
            f"Received: shape={distances.shape}."
        )
    if not distances.size:
        raise ValueError(
            f"There is no {kind} pair: verification needs pairs of one person and pairs of two "
            "people. Add people, or images per person."
        )
    if not np.isfinite(distances).all():
        bad = np.count_nonzero(~np.isfinite(distances))
        raise ValueError(
            f"{kind} distances must be finite. Received: {bad} of {distances.size} NaN or "
            "infinite. Are the embeddings finite?"
        )
    return distances
