"""Average linkage of unit vectors by the means of the clusters: exact, without a distance table."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Products held at once: 16 MiB of float32.
_ROWS_PER_BLOCK: Final = 2**10
_COLUMNS_PER_BLOCK: Final = 2**12
_UNKNOWN: Final = -1


def join_by_average(embedding: NDArray[np.float32], threshold: float) -> NDArray[np.integer]:
    """Joins clusters while the mean distance of their images is at most a threshold.

    Of unit vectors, the mean squared distance between two clusters is 2 - 2 <p, q>, with p and q
    the means of their vectors: nothing else need be kept of a cluster. Two clusters that are each
    other's nearest are joined in the end, whatever happens around them, for a joined cluster is
    never nearer to a third than the nearer of its parts was. So all such couples are joined at
    once, and only clusters that lost their nearest look for it anew.

    Args:
        embedding: float32 [N, D], unit length.
        threshold: Squared L2 distance.

    Returns:
        For each image the first image of its cluster, int [N].

    Source:
        F. Murtagh, "A survey of recent advances in hierarchical clustering algorithms", The
        Computer Journal 26 (1983), section 3.1, reciprocal nearest neighbours.
    """
    owner = np.arange(len(embedding))
    pool = _Pool.of(embedding)
    while True:
        pool.look_around()
        pool = pool.only(pool.distance <= threshold)
        if not len(pool.size):
            break
        first, second = pool.couples()
        owner[pool.image[second]] = pool.image[first]
        pool = pool.joined(first, second)
    return _roots(owner)


def nearest_means(
    mean: NDArray[np.float32], row: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
    """Finds what is nearest to some clusters, themselves left out.

    Args:
        mean: float32 [K, D], of the vectors of each cluster; two clusters at least.
        row: int [Q], the clusters that ask.

    Returns:
        `(place int [Q], distance float32 [Q])`; of clusters as near the first.
    """
    best = np.full(len(row), -np.inf, np.float32)
    index = np.full(len(row), _UNKNOWN)
    line = np.arange(len(row))
    for start in range(0, len(mean), _COLUMNS_PER_BLOCK):
        product = mean[row] @ mean[start : start + _COLUMNS_PER_BLOCK].T
        is_here = (start <= row) & (row < start + _COLUMNS_PER_BLOCK)
        product[line[is_here], row[is_here] - start] = -np.inf
        column = product.argmax(axis=1)
        found = product[line, column]
        better = found > best
        best[better] = found[better]
        index[better] = start + column[better]
    return index, 2.0 - 2.0 * best


@dataclass
class _Pool:
    """Clusters that may yet be joined.

    Args:
        image: int [K], the first image of each.
        size: int [K], its images.
        mean: float32 [K, D], of their vectors.
        nearest: int [K], the place of the cluster nearest to it; of several the first.
        distance: float32 [K], how far that is.
    """

    image: NDArray[np.integer]
    size: NDArray[np.integer]
    mean: NDArray[np.float32]
    nearest: NDArray[np.integer]
    distance: NDArray[np.float32]

    @classmethod
    def of(cls, embedding: NDArray[np.float32]) -> "_Pool":
        num = len(embedding)
        return cls(
            image=np.arange(num),
            size=np.ones(num, np.int64),
            mean=embedding,
            nearest=np.full(num, _UNKNOWN),
            distance=np.full(num, np.inf, np.float32),
        )

    def look_around(self) -> None:
        """Finds what is nearest to each cluster that does not know."""
        lost = np.flatnonzero(self.nearest == _UNKNOWN)
        for start in range(0, len(lost), _ROWS_PER_BLOCK):
            some = lost[start : start + _ROWS_PER_BLOCK]
            self.nearest[some], self.distance[some] = nearest_means(self.mean, some)

    def only(self, kept: NDArray[np.bool_]) -> "_Pool":
        """Lets go of clusters; whoever was nearest to one of them must look anew."""
        place = np.where(kept, np.cumsum(kept) - 1, _UNKNOWN)
        return _Pool(
            image=self.image[kept],
            size=self.size[kept],
            mean=self.mean[kept],
            nearest=np.where(self.nearest == _UNKNOWN, _UNKNOWN, place[self.nearest])[kept],
            distance=self.distance[kept],
        )

    def couples(self) -> tuple[NDArray, NDArray]:
        """Clusters that are each other's nearest, one at least."""
        place = np.arange(len(self.nearest))
        first = np.flatnonzero((self.nearest[self.nearest] == place) & (place < self.nearest))
        if not first.size:
            # Where distances are equal but for rounding, each may prefer another.
            nearest = self.distance.argmin()
            couple = np.sort([nearest, self.nearest[nearest]])
            return couple[:1], couple[1:]
        return first, self.nearest[first]

    def joined(self, first: NDArray, second: NDArray) -> "_Pool":
        """Puts each couple in the place of its first."""
        size = self.size[first] + self.size[second]
        share = (self.size[second] / size)[:, None]
        mean = self.mean.copy()
        mean[first] += (share * (self.mean[second] - self.mean[first])).astype(np.float32)
        self.mean = mean
        self.size[first] = size
        kept = np.ones(len(self.size), np.bool_)
        kept[second] = False
        self.nearest[np.isin(self.nearest, first)] = _UNKNOWN
        return self.only(kept)


def _roots(owner: NDArray[np.integer]) -> NDArray[np.integer]:
    """Follows each row to the one that owns itself."""
    while not np.array_equal(owner, above := owner[owner]):
        owner = above
    return owner
