"""Groups faces by person without knowing how many people there are, as FaceNet does."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

from facezoo.metrics.average_linkage import join_by_average
from facezoo.metrics.embeddings import check_embedding
from facezoo.metrics.single_linkage import join_by_nearest


def cluster(embedding: ArrayLike, threshold: float, linkage: str = "average") -> NDArray[np.int32]:
    """Joins the two nearest clusters, again and again, until they are further than a threshold.

    Args:
        embedding: float [N, D], unit length.
        threshold: Squared L2 distance up to which clusters are joined, in [0, 4].
        linkage: How far two clusters are: the mean of the distances of their images
            (`"average"`), the largest (`"complete"`) or the smallest (`"single"`).

    Returns:
        The cluster of each image, int [N], from 0, in the order in which they first occur.

    Raises:
        ValueError: A row is not of unit length, the threshold is out of range, or the linkage is
            unknown.

    Numerics:
        float32 products in blocks: the memory is that of a few copies of the embeddings, and no
        table of all distances. Complete linkage takes m^2 numbers of 8 bytes more for the m images
        of the largest cluster that single linkage would find. Distances are off by some 1e-7;
        clusters up to 1e-6 further apart than the threshold are joined.

    Example:
        >>> cluster([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]], threshold=0.5)
        array([0, 1, 0], dtype=int32)

    Source:
        FaceNet, arXiv 1503.03832, section 5.8, face clustering.
    """
    embedding = check_embedding(embedding)
    if not 0 <= threshold <= 4:
        raise ValueError(
            "threshold must be a squared L2 distance of unit embeddings, in [0, 4]. "
            f"Received: {threshold}."
        )
    if linkage not in LINKAGES:
        raise ValueError(f"linkage must be one of {', '.join(LINKAGES)}. Received: {linkage!r}.")
    found = _JOIN[linkage](embedding, threshold + _ROUNDING)
    _, first, number = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first)).astype(np.int32)[number]


# Equal pictures must not be parted by the last digit of a float32.
_ROUNDING: Final = 1e-6


def _join_by_furthest(embedding: NDArray[np.float32], threshold: float) -> NDArray[np.integer]:
    """Complete linkage: where all images of two clusters are near, some two are, too.

    So no cluster reaches over two of single linkage, and each of these is parted by itself.
    """
    found = join_by_nearest(embedding, threshold)
    order = np.argsort(found, kind="stable")
    begin = np.flatnonzero(np.diff(found[order], prepend=-1))
    for rows in np.split(order, begin[1:]):
        if len(rows) > 1:
            tree = hierarchy.linkage(pdist(embedding[rows], "sqeuclidean"), "complete")
            parts = hierarchy.fcluster(tree, threshold, "distance")
            _, first, part = np.unique(parts, return_index=True, return_inverse=True)
            found[rows] = rows[first][part]
    return found


_Join = Callable[[NDArray[np.float32], float], NDArray[np.integer]]

_JOIN: Final[Mapping[str, _Join]] = {
    "average": join_by_average,
    "complete": _join_by_furthest,
    "single": join_by_nearest,
}
LINKAGES: Final = tuple(_JOIN)
