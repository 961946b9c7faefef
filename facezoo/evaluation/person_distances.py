"""How near people are to each other by the mean of their embeddings."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.metrics import nearest, nearest_others

# Squared L2 distance of unrelated directions: of somebody whose mean is zero to everybody.
_UNRELATED: Final = 2.0


def nearest_person(
    probe: NDArray[np.float32], gallery: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Finds the person of a gallery who is nearest to each probe.

    Args:
        probe: float32 [P, D], unit length, or zeros.
        gallery: float32 [G, D], likewise.

    Returns:
        `(squared L2 distance float32 [P], row of the gallery int64 [P])`; zeros are near nobody.
    """
    distance = np.full(len(probe), _UNRELATED, np.float32)
    index = np.zeros(len(probe), np.int64)
    rows, known = (np.flatnonzero(one.any(axis=1)) for one in (probe, gallery))
    if rows.size and known.size:
        found, place = nearest(probe[rows], gallery[known], k=1)
        distance[rows], index[rows] = found[:, 0], known[place[:, 0]]
    return distance, index


def nearest_strangers(embedding: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Distances of each person to the nearest other people of the same set.

    Args:
        embedding: float32 [P, D], unit length, or zeros.
        count: How many others, less than P.

    Returns:
        Squared L2 distances, float32 [P, count], ascending.
    """
    distance = np.full((len(embedding), count), _UNRELATED, np.float32)
    known = np.flatnonzero(embedding.any(axis=1))
    num_others = min(count, len(known) - 1)
    if num_others > 0:
        distance[known, :num_others] = nearest_others(embedding[known], num_others)[0]
    return np.sort(distance, axis=1)
