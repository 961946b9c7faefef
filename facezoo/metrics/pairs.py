"""What every metric of labelled pairs takes: a distance and the truth per pair, checked."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.distances import Distances, check_distances


def check_pairs(distance: ArrayLike, same: ArrayLike) -> tuple[Distances, NDArray[np.bool_]]:
    """Returns distances as float64 [P] and the truth as bool [P].

    Raises:
        ValueError: Shapes do not fit, `same` holds anything but true and false, a distance is not
            finite, or one kind of pairs is missing.
    """
    distance, same = np.asarray(distance, dtype=np.float64), np.asarray(same)
    if distance.ndim != 1 or same.shape != distance.shape:
        raise ValueError(
            "distance and same must be one-dimensional, one entry per pair each. "
            f"Received: shapes {distance.shape} and {same.shape}."
        )
    if same.dtype != bool and not np.isin(same, (0, 1)).all():
        raise ValueError(f"same must be true or false for each pair. Received: dtype={same.dtype}.")
    same = same.astype(bool)
    check_distances(distance[same], distance[~same])
    return distance, same


def check_per_pair(values: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[np.integer]:
    """Returns integers that belong to pairs, such as folds or people.

    Raises:
        ValueError: They are no integers, or not of this shape.
    """
    values = np.asarray(values)
    if values.shape != shape or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{name} must be integers of shape {shape}. "
            f"Received: shape={values.shape}, dtype={values.dtype}."
        )
    return values
