"""Single linkage: who is near to whom, directly or by others between, in blocks."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_ROWS_PER_BLOCK: Final = 2**10


def join_by_nearest(embedding: NDArray[np.float32], threshold: float) -> NDArray[np.integer]:
    """Joins clusters while the nearest two of their images are at most a threshold apart.

    Args:
        embedding: float32 [N, D], unit length.
        threshold: Squared L2 distance.

    Returns:
        For each image the first image of its cluster, int [N].
    """
    found = np.arange(len(embedding))
    smallest = 1.0 - threshold / 2.0
    starts = range(0, len(embedding), _ROWS_PER_BLOCK)
    for start in starts:
        links = [
            _links(embedding, found, smallest, (start, other)) for other in starts if other >= start
        ]
        found = _joined(found, np.concatenate(links, axis=1))
    return found


def _links(
    embedding: NDArray, found: NDArray, smallest: float, starts: tuple[int, int]
) -> NDArray[np.integer]:
    """Couples of clusters that have near images in two blocks, each couple once, int [2, L]."""
    one, other = (slice(start, start + _ROWS_PER_BLOCK) for start in starts)
    row, column = np.nonzero(embedding[one] @ embedding[other].T >= smallest)
    couples = np.stack([found[one][row], found[other][column]])
    apart = couples[:, couples[0] != couples[1]]
    return np.stack(np.divmod(np.unique(apart[0] * len(found) + apart[1]), len(found)))


def _joined(found: NDArray, links: NDArray) -> NDArray[np.integer]:
    num = len(found)
    graph = coo_array((np.ones(links.shape[1], np.bool_), tuple(links)), shape=(num, num))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    return first[component][found]
