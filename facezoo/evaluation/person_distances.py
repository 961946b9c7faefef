"""How near people are to each other by the mean of their embeddings, in bounded memory."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Distances held at once: 64 MiB of float32.
_PER_BLOCK: Final = 2**24


def nearest_person(
    probe: NDArray[np.float32], gallery: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Finds the person of a gallery who is nearest to each probe.

    Args:
        probe: float32 [P, D], unit length.
        gallery: float32 [G, D], unit length.

    Returns:
        `(squared L2 distance float32 [P], row of the gallery int64 [P])`.
    """
    blocks = [(block.min(axis=1), block.argmin(axis=1)) for _, block in _blocks(probe, gallery)]
    distance, index = zip(*blocks, strict=True)
    return np.concatenate(distance), np.concatenate(index)


def nearest_strangers(embedding: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Distances of each person to the nearest other people of the same set.

    Args:
        embedding: float32 [P, D], unit length.
        count: How many others, less than P.

    Returns:
        Squared L2 distances, float32 [P, count], ascending.
    """
    found = []
    for rows, block in _blocks(embedding, embedding):
        block[np.arange(len(block)), rows] = np.inf
        found.append(np.sort(np.partition(block, count - 1, axis=1)[:, :count], axis=1))
    return np.concatenate(found)


def _blocks(
    probe: NDArray[np.float32], gallery: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    step = max(1, _PER_BLOCK // len(gallery))
    for start in range(0, len(probe), step):
        rows = np.arange(start, min(start + step, len(probe)))
        # 2 - 2 cos: somebody whose mean is zero is at 2 from everybody, which is near nobody.
        yield rows, np.maximum(2.0 - 2.0 * (probe[rows] @ gallery.T), 0.0)
