"""How close the images of a cluster are, and how far the next cluster is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.average_linkage import nearest_means
from facezoo.metrics.embeddings import check_embedding, check_labels

_ROWS_AT_ONCE = 2**10


@dataclass(frozen=True, eq=False)
class ClusterShapes:
    """What the distances within clusters and between them are; all are squared L2.

    Args:
        size: int [K], images of each cluster.
        inside: float [K], mean distance of two images of the cluster; NaN if there is only one.
        nearest: int [K], the cluster whose images are nearest in the mean; -1 if there is no other.
        distance: float [K], that mean distance; NaN likewise.
        to_others: float [N], mean distance of each image to the others of its cluster; NaN if
            there is none.
    """

    size: NDArray[np.integer]
    inside: NDArray[np.float64]
    nearest: NDArray[np.integer]
    distance: NDArray[np.float64]
    to_others: NDArray[np.float64]


def cluster_shapes(embedding: ArrayLike, cluster: ArrayLike) -> ClusterShapes:
    """Measures clusters by the means of their vectors, without a table of distances.

    Args:
        embedding: float [N, D], unit length.
        cluster: int [N], the cluster of each image, from 0, none left out.

    Raises:
        ValueError: A row is not of unit length, or `cluster` leaves out a number.

    Example:
        >>> shapes = cluster_shapes([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], [0, 1, 1])
        >>> shapes.inside.round(3), shapes.nearest, shapes.distance.round(3)
        (array([nan, 0.4]), array([1, 0]), array([1.4, 1.4]))
    """
    embedding = check_embedding(embedding)
    cluster = check_labels(cluster, len(embedding), "cluster")
    size = np.bincount(cluster) if cluster.min() >= 0 else np.zeros(1, np.int64)
    if not size.all():
        raise ValueError(
            "cluster must be the numbers from 0 to K - 1, each at least once, as `cluster` returns "
            f"them. Received: {len(np.unique(cluster))} from {cluster.min()} to {cluster.max()}."
        )
    total = np.zeros((len(size), embedding.shape[1]))
    np.add.at(total, cluster, embedding)
    own = np.einsum("nd,nd->n", embedding, total[cluster]) - np.einsum("nd,nd->n", *2 * [embedding])
    several = np.where(size > 1, size, np.nan)
    to_others = np.maximum(2.0 - 2.0 * own / (several - 1.0)[cluster], 0.0)
    inside = np.bincount(cluster, to_others) / several
    nearest, distance = _nearest((total / size[:, None]).astype(np.float32))
    return ClusterShapes(size, inside, nearest, distance, to_others)


def _nearest(mean: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    if len(mean) == 1:
        return np.array([-1]), np.array([np.nan])
    parts = [
        nearest_means(mean, np.arange(start, min(start + _ROWS_AT_ONCE, len(mean))))
        for start in range(0, len(mean), _ROWS_AT_ONCE)
    ]
    nearest, distance = (np.concatenate(part) for part in zip(*parts, strict=True))
    return nearest, np.maximum(distance.astype(np.float64), 0.0)
