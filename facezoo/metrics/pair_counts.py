"""Counts the distances of all pairs of a set, or of two, in bounded memory: 10^10 pairs and more.

Rows are sorted by label, so that a tile of the matrix of all pairs holds one kind of pairs, but
for a few on the diagonal. A product of matrices gives a tile of cosines, one pass makes bins of
them, and one counts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.embeddings import check_embedding, check_labels, check_same_dim
from facezoo.metrics.histogram import NUM_BINS, DistanceHistogram
from facezoo.metrics.threads import share_tiles

# A tile is 1 MiB of float32 cosines and 2 MiB of int64 bins: they stay in a core's cache.
SIDE: Final = 512

Tile = tuple[int, int]


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Unit embeddings sorted by label.

    Args:
        embedding: float32 [N, D].
        label: int [N], ascending.
    """

    embedding: NDArray[np.float32]
    label: NDArray[np.integer]

    @classmethod
    def sort(cls, embedding: ArrayLike, label: ArrayLike) -> "LabelledRows":
        """Sorts embeddings by label, and brings them to unit length to the last digit.

        Raises:
            ValueError: Shapes do not fit, or a row is not of unit length.
        """
        embedding = check_embedding(embedding)
        label = check_labels(label, len(embedding))
        order = np.argsort(label, kind="stable")
        embedding = embedding[order]
        embedding /= np.sqrt(np.einsum("nd,nd->n", embedding, embedding))[:, None]
        return cls(embedding, label[order])


class PairMatrix:
    """All pairs of rows x columns, or of one set with i < j, in tiles.

    The count of a tile depends on nothing but the tile, so that tiles counted in any order, by any
    number of threads or machines of one kind, add up to the very same histogram.

    Args:
        row: One set.
        column: Another set, of other images, or None for all pairs of `row` with itself, each
            once, and no image with itself.
        num_bins: Bins of [0, 4]; a power of two, so that edges are exact in float32.

    Raises:
        ValueError: The sets are of different models, or `num_bins` is no power of two.
    """

    def __init__(
        self, row: LabelledRows, column: LabelledRows | None = None, num_bins: int = NUM_BINS
    ) -> None:
        if num_bins < 2 or num_bins & (num_bins - 1):
            raise ValueError(f"num_bins must be a power of two, 2 or more. Received: {num_bins}.")
        self.row, self.column = row, row if column is None else column
        self.within = column is None
        self.num_bins = num_bins
        check_same_dim(self.row.embedding, self.column.embedding)

    def tiles(self) -> list[Tile]:
        """Lists (first row, first column) of the tiles that cover every pair once."""
        return [
            (start, other)
            for start in range(0, len(self.row.label), SIDE)
            for other in range(start if self.within else 0, len(self.column.label), SIDE)
        ]

    def histogram(self, tiles: Iterable[Tile] | None = None) -> DistanceHistogram:
        """Counts the pairs of some tiles, or all pairs, on all cores."""
        parts = share_tiles(self.count, self.tiles() if tiles is None else tiles)
        return sum(parts, DistanceHistogram.empty(self.num_bins))

    @property
    def num_pairs(self) -> int:
        """How many pairs there are, of both kinds."""
        num_rows, num_columns = len(self.row.label), len(self.column.label)
        return num_rows * (num_rows - 1) // 2 if self.within else num_rows * num_columns

    def count(self, tiles: Iterable[Tile]) -> DistanceHistogram:
        """Counts the pairs of some tiles, in this thread."""
        counts = np.zeros((2, self.num_bins + 1), np.int64)
        for tile, bins in self._bins(tiles):
            for same, wanted in self._kinds(tile):
                found = bins.ravel() if wanted is None else bins[wanted]
                counts[int(same)] += np.bincount(found, minlength=self.num_bins + 1)
        counts[:, -2] += counts[:, -1]
        impostor, genuine = counts[:, -2::-1]
        return DistanceHistogram(genuine, impostor)

    def accepts_by_person(self, num_accepted: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Counts each person's genuine pairs, and those of them that are accepted.

        Args:
            num_accepted: Bins up to the threshold, whose pairs are accepted.

        Returns:
            `(accepted int64 [M], genuine int64 [M])` of the people who have a genuine pair, by
            ascending label.
        """
        people = np.union1d(self.row.label, self.column.label)

        def work(tiles: Iterator[Tile]) -> NDArray[np.int64]:
            counts = np.zeros((2, len(people)), np.int64)
            for tile, bins in self._bins(tiles):
                genuine = self._genuine(tile)
                accepted = genuine & (bins >= self.num_bins - num_accepted)
                person = np.searchsorted(people, self._labels(tile)[0])
                np.add.at(counts, (0, person), accepted.sum(axis=1))
                np.add.at(counts, (1, person), genuine.sum(axis=1))
            return counts

        tiles = [tile for tile in self.tiles() if not self._tells_apart(tile)]
        accepted, genuine = np.sum(share_tiles(work, tiles), axis=0)
        return accepted[genuine > 0], genuine[genuine > 0]

    def _bins(self, tiles: Iterable[Tile]) -> Iterator[tuple[Tile, NDArray[np.int64]]]:
        """Yields tiles, each with the bins of its pairs, which last until the next.

        Bins are numbered from the opposite, 0, to the equal, `num_bins` and the one below. Cut off
        from this side, a bin ends with the distance of its edge, as a threshold does.
        """
        cosine, bins = np.empty(SIDE**2, np.float32), np.empty(SIDE**2, np.int64)
        half = np.float32(self.num_bins / 2)
        for tile in tiles:
            row, column = self.embeddings(tile)
            size = len(row) * len(column)
            found = cosine[:size].reshape(len(row), len(column))
            into = bins[:size].reshape(found.shape)
            # Scaled before the product, where there is less to scale.
            np.matmul(row * half, column.T, out=found)
            found += half
            np.copyto(into, found, casting="unsafe")
            yield tile, into

    def _kinds(self, tile: Tile) -> Iterator[tuple[bool, NDArray[np.bool_] | None]]:
        """Yields whether pairs are genuine, and which of the tile's they are; None for all."""
        row, column = self._labels(tile)
        if self._tells_apart(tile):
            yield False, None
        elif row[0] == row[-1] == column[0] == column[-1] and not self._on_diagonal(tile):
            yield True, None
        else:
            genuine = self._genuine(tile)
            yield True, genuine
            yield False, self._once(tile) & ~genuine

    def _genuine(self, tile: Tile) -> NDArray[np.bool_]:
        row, column = self._labels(tile)
        return self._once(tile) & (row[:, None] == column)

    def _once(self, tile: Tile) -> NDArray[np.bool_]:
        """Masks the pairs that count: on the diagonal of one set, those with i < j."""
        row, column = self._labels(tile)
        mask = np.ones((len(row), len(column)), bool)
        return np.triu(mask, 1) if self._on_diagonal(tile) else mask

    def _on_diagonal(self, tile: Tile) -> bool:
        return self.within and tile[0] == tile[1]

    def _tells_apart(self, tile: Tile) -> bool:
        """Whether no person has images on both sides."""
        row, column = self._labels(tile)
        return bool(row[-1] < column[0] or column[-1] < row[0])

    def _labels(self, tile: Tile) -> tuple[NDArray, NDArray]:
        row, column = self.row.label, self.column.label
        return row[tile[0] : tile[0] + SIDE], column[tile[1] : tile[1] + SIDE]

    def embeddings(self, tile: Tile) -> tuple[NDArray, NDArray]:
        """Returns the embeddings of the rows and of the columns of a tile."""
        row, column = self.row.embedding, self.column.embedding
        return row[tile[0] : tile[0] + SIDE], column[tile[1] : tile[1] + SIDE]
