"""Finding the nearest of many faces: one interface, exact by default."""

from abc import ABC, abstractmethod
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics import nearest
from facezoo.metrics.embeddings import check_embedding, check_same_dim

EXACT: Final = "exact"
FAISS: Final = "faiss"
FAISS_IVF: Final = "faiss_ivf"
INDEXES: Final = (EXACT, FAISS, FAISS_IVF)
# Twice what float32 products of unit vectors are off by, with room.
_ROUNDING: Final = 1e-5
# Rows beyond k that are looked at closely.
_SPARE: Final = 8


class Index(ABC):
    """Embeddings that can be searched.

    Whatever the search within multiplies with, distances are those that `verify` gives, and of
    rows at the same distance the first comes first: two exact indexes give the same answers.

    Args:
        embedding: float [N, D], unit length.

    Raises:
        ValueError: An embedding is not of unit length, or there is none.
    """

    def __init__(self, embedding: ArrayLike) -> None:
        self.embedding = check_embedding(embedding)

    @abstractmethod
    def candidates(self, probe: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """Returns the k rows that are nearest, as far as float32 can tell; -1 for none."""

    def search(self, probe: ArrayLike, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Finds the k nearest rows.

        Args:
            probe: float [Q, D], unit length.
            k: From 1 to N.

        Returns:
            `(distance float32 [Q, k], index int64 [Q, k])`, nearest first. An index that is not
            exact may find less: infinity and -1 fill what is left.

        Raises:
            ValueError: A probe is not of unit length, shapes do not fit, or k is out of range.

        Numerics:
            Squared differences in float64. Where rows beyond the k-th are as near, as far as
            float32 can tell, more of them are looked at.
        """
        probe = check_embedding(probe, "probe")
        check_same_dim(probe, self.embedding)
        size = len(self.embedding)
        if not 1 <= k <= size:
            raise ValueError(f"k must be from 1 to {size}, the gallery. Received: k={k}.")
        distance = np.empty((len(probe), k), np.float32)
        index = np.empty((len(probe), k), np.int64)
        todo, take = np.arange(len(probe)), min(k + _SPARE, size)
        while todo.size:
            found = self.candidates(probe[todo], take)
            exact = self._distances(probe[todo], found)
            order = np.lexsort((found, exact), axis=1)[:, :k]
            distance[todo] = np.take_along_axis(exact, order, axis=1)
            index[todo] = np.take_along_axis(found, order, axis=1)
            # What an index does not find at all, it will not find among more.
            unsure = (distance[todo, -1] + _ROUNDING >= exact.max(axis=1)) & (found >= 0).all(
                axis=1
            )
            todo = todo[unsure] if take < size else todo[:0]
            take = min(4 * take, size)
        return distance, index

    def _distances(
        self, probe: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        distance = np.empty(rows.shape, np.float32)
        for number, (one, near) in enumerate(zip(probe, rows, strict=True)):
            difference = self.embedding[near].astype(np.float64) - one
            distance[number] = np.einsum("nd,nd->n", difference, difference)
        distance[rows < 0] = np.inf
        return distance


class ExactIndex(Index):
    """Compares with every row, as the metrics do; nothing is built, and nothing else is held."""

    def candidates(self, probe: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        return nearest(probe, self.embedding, k)[1]


def make_index(kind: str, embedding: ArrayLike) -> Index:
    """Makes an index.

    Args:
        kind: `"exact"`; `"faiss"`, as exact; or `"faiss_ivf"`, which looks at a part of the rows
            only, and is worth building for a process that searches a million rows for long.
        embedding: float [N, D], unit length.

    Raises:
        ModuleNotFoundError: faiss is not installed.
        ValueError: There is no such index, or an embedding is not of unit length.
    """
    if kind == EXACT:
        return ExactIndex(embedding)
    if kind not in INDEXES:
        raise ValueError(f"index must be one of {', '.join(INDEXES)}. Received: {kind!r}.")
    from facezoo.gallery.faiss_index import FaissIndex

    return FaissIndex(embedding, approximate=kind == FAISS_IVF)
