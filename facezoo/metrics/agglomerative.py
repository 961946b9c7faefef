"""Groups faces by person without knowing how many people there are, as FaceNet does."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

from facezoo.metrics.embeddings import check_embedding

LINKAGES: Final = ("average", "complete", "single")


def cluster(embedding: ArrayLike, threshold: float, linkage: str = "average") -> NDArray[np.int32]:
    """Joins the two nearest clusters, again and again, until they are further than a threshold.

    Args:
        embedding: float [N, D], unit length. Distances take N^2 / 2 numbers of 8 bytes: 2 GB for
            20,000 images.
        threshold: Squared L2 distance up to which clusters are joined, in [0, 4].
        linkage: How far two clusters are: the mean of the distances of their images
            (`"average"`), the largest (`"complete"`) or the smallest (`"single"`).

    Returns:
        The cluster of each image, int [N], from 0, in the order in which they first occur.

    Raises:
        ValueError: A row is not of unit length, the threshold is out of range, or the linkage is
            unknown.

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
    if len(embedding) == 1:
        return np.zeros(1, np.int32)
    tree = hierarchy.linkage(pdist(embedding, "sqeuclidean"), linkage)
    found = hierarchy.fcluster(tree, threshold, "distance")
    _, first, number = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first)).astype(np.int32)[number]
