"""The indexes of faiss, for galleries of millions of faces; the extra `search` brings it."""

import math
import os
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.gallery.index import Index

try:
    import faiss
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "This index needs faiss, which is not installed. Run: pip install 'facezoo[search]', or "
        "take the index 'exact'.",
        name=error.name,
    ) from error

# Share of the cells that a search looks into, and of rows that k-means learns from.
_PROBED: Final = 1 / 16
_ROWS_PER_CELL: Final = 40


class FaissIndex(Index):
    """Rows in an index of faiss.

    Args:
        embedding: float [N, D], unit length.
        approximate: False for `IndexFlatIP`, which compares with every row. True for
            `IndexIVFFlat`: k-means parts the rows into `sqrt(N)` cells, and a search looks into
            one of sixteen. It is not the graph index of faiss (HNSW), because threads build that
            in another order, and with other answers, every time.

    Raises:
        ValueError: An embedding is not of unit length, or there is none.

    Source:
        J. Johnson, M. Douze and H. Jégou, "Billion-scale similarity search with GPUs", 2017,
        section 3.
    """

    def __init__(self, embedding: ArrayLike, approximate: bool = False) -> None:
        super().__init__(embedding)
        faiss.omp_set_num_threads(os.cpu_count() or 1)
        dim = self.embedding.shape[1]
        if approximate:
            num_cells = max(1, round(math.sqrt(len(self.embedding))))
            self._index = faiss.index_factory(
                dim, f"IVF{num_cells},Flat", faiss.METRIC_INNER_PRODUCT
            )
            self._index.nprobe = math.ceil(num_cells * _PROBED)
            self._index.cp.min_points_per_centroid = 1
            self._index.cp.max_points_per_centroid = _ROWS_PER_CELL
            self._index.train(self.embedding)
        else:
            self._index = faiss.IndexFlatIP(dim)
        self._index.add(self.embedding)

    def candidates(self, probe: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        return self._index.search(probe, k)[1]
