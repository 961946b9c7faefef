"""The nearest of a gallery: exact, in blocks, in memory that does not grow with the gallery."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.embeddings import check_embedding, check_same_dim
from facezoo.metrics.threads import share_tiles

# Products held at once by a thread: 4 MiB of float32, which stay in a cache.
_PAIRS_PER_BLOCK: Final = 2**20
_PROBES_PER_BLOCK: Final = 2**10
_MOST_GALLERY_PER_BLOCK: Final = 2**14
# More candidates than this per place are first thinned out: sorting them would take longer.
_CROWDED: Final = 4

Nearest = tuple[NDArray[np.float32], NDArray[np.int64]]


class _Best:
    """The k highest cosines of each probe so far, highest first; of equal ones the first row."""

    def __init__(self, num_probes: int, k: int, num_gallery: int) -> None:
        self.cosine = np.full((num_probes, k), -np.inf, np.float32)
        self.index = np.full((num_probes, k), num_gallery)

    def add(self, cosine: NDArray[np.float32], start: int) -> None:
        """Takes in a block of the gallery, [Q, B], whose rows lie behind all seen before."""
        k, lowest = self.cosine.shape[1], self.cosine[:, -1]
        probe = np.flatnonzero(cosine.max(axis=1) > lowest)
        found = cosine[probe]
        better = found > lowest[probe, None]
        if np.count_nonzero(better) > _CROWDED * k * len(probe):
            better &= found >= np.partition(found, -k, axis=1)[:, -k, None]
        row, column = np.divmod(np.flatnonzero(better), cosine.shape[1])
        self._merge(probe, row, found[row, column], start + column)

    def _merge(self, probe: NDArray, row: NDArray, cosine: NDArray, index: NDArray) -> None:
        k, size = self.cosine.shape[1], len(probe)
        row = np.concatenate([np.repeat(np.arange(size), k), row])
        cosine = np.concatenate([self.cosine[probe].ravel(), cosine])
        index = np.concatenate([self.index[probe].ravel(), index])
        order = np.lexsort((index, -cosine, row))
        # Each probe brought its own k, so from where it begins there are k or more.
        begin = np.searchsorted(row[order], np.arange(size))
        kept = order[begin[:, None] + np.arange(k)]
        self.cosine[probe], self.index[probe] = cosine[kept], index[kept]


def nearest(probe: ArrayLike, gallery: ArrayLike, k: int) -> Nearest:
    """Finds the k rows of the gallery that are nearest to each probe.

    Args:
        probe: float [Q, D], unit length.
        gallery: float [N, D], unit length.
        k: Rows to find, 1 to N.

    Returns:
        `(distance float32 [Q, k], index int64 [Q, k])`, nearest first; of rows at the same
        distance the first comes first. Distances are squared L2.

    Raises:
        ValueError: An embedding is not of unit length, shapes do not fit, or k is out of range.

    Numerics:
        float32 products, `max(2 - 2 cosine, 0)`: off by some 1e-7, so that rows which are nearer
        to each other than that may change places.

    Example:
        >>> distance, index = nearest([[1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]], k=2)
        >>> distance.tolist(), index.tolist()
        ([[0.0, 2.0]], [[1, 0]])
    """
    probe, gallery = check_embedding(probe, "probe"), check_embedding(gallery, "gallery")
    check_same_dim(probe, gallery)
    if not 1 <= k <= len(gallery):
        raise ValueError(f"k must be from 1 to {len(gallery)}, the gallery. Received: k={k}.")
    parts = [
        _nearest_to_some(probe[start : start + _PROBES_PER_BLOCK], gallery, k)
        for start in range(0, len(probe), _PROBES_PER_BLOCK)
    ]
    distance, index = (np.concatenate(part) for part in zip(*parts, strict=True))
    return distance, index


def nearest_others(embedding: ArrayLike, k: int) -> Nearest:
    """Finds the k rows that are nearest to each row, itself left out.

    Args:
        embedding: float [N, D], unit length.
        k: Rows to find, 1 to N - 1.

    Returns:
        `(distance float32 [N, k], index int64 [N, k])`, as `nearest`.

    Raises:
        ValueError: As `nearest`.

    Numerics:
        As `nearest`. Of more than k equal rows, some find themselves behind k others and leave out
        the last of these.

    Example:
        >>> distance, index = nearest_others([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], k=1)
        >>> distance.tolist(), index.tolist()
        ([[0.0], [2.0], [0.0]], [[2], [0], [0]])
    """
    embedding = check_embedding(embedding)
    num_rows = len(embedding)
    if not 1 <= k < num_rows:
        raise ValueError(f"k must be from 1 to {num_rows - 1}, the other rows. Received: k={k}.")
    distance, index = nearest(embedding, embedding, k + 1)
    is_self = index == np.arange(num_rows)[:, None]
    is_self[:, -1] |= ~is_self.any(axis=1)
    return distance[~is_self].reshape(num_rows, k), index[~is_self].reshape(num_rows, k)


def _nearest_to_some(probe: NDArray, gallery: NDArray, k: int) -> Nearest:
    width = min(_PAIRS_PER_BLOCK // len(probe), _MOST_GALLERY_PER_BLOCK)

    def work(starts: Iterator[int]) -> _Best:
        best = _Best(len(probe), k, len(gallery))
        product = np.empty((len(probe), width), np.float32)
        for start in starts:
            block = gallery[start : start + width]
            # Written in one piece, also where the last block is narrow.
            out = product.ravel()[: len(probe) * len(block)].reshape(len(probe), len(block))
            best.add(np.matmul(probe, block.T, out=out), start)
        return best

    found = share_tiles(work, range(0, len(gallery), width))
    cosine = np.concatenate([best.cosine for best in found], axis=1)
    index = np.concatenate([best.index for best in found], axis=1)
    order = np.lexsort((index, -cosine), axis=1)[:, :k]
    distance = np.maximum(2.0 - 2.0 * np.take_along_axis(cosine, order, axis=1), 0.0)
    return distance, np.take_along_axis(index, order, axis=1)
