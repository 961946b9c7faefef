"""Whose face is this, by a vote of its nearest: classification of a closed set."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.embeddings import check_labels
from facezoo.metrics.nearest import nearest


def knn_classify(
    probe: ArrayLike, gallery: ArrayLike, gallery_label: ArrayLike, k: int = 1
) -> NDArray[np.integer]:
    """Gives each probe the label that most of its k nearest bear.

    Args:
        probe: float [Q, D], unit length.
        gallery: float [N, D], unit length, other images than the probes.
        gallery_label: int [N], the person of each image.
        k: Neighbours that vote, 1 to N.

    Returns:
        Labels [Q]. Of people with as many votes, the one with the nearest image wins.

    Raises:
        ValueError: An embedding is not of unit length, shapes do not fit, or k is out of range.

    Example:
        >>> knn_classify([[1.0, 0.0]], [[0.8, 0.6], [0.6, 0.8], [0.0, 1.0]], [7, 3, 3], k=3)
        array([3])
    """
    _, index = nearest(probe, gallery, k)
    label = check_labels(gallery_label, len(gallery), "gallery_label")[index]
    votes = np.zeros(label.shape, np.int64)
    for voter in label.T:
        votes += label == voter[:, None]
    # The first of several highest counts is that of the nearest image.
    return np.take_along_axis(label, votes.argmax(axis=1)[:, None], axis=1)[:, 0]


def knn_accuracy(
    probe: ArrayLike,
    probe_label: ArrayLike,
    gallery: ArrayLike,
    gallery_label: ArrayLike,
    k: int = 1,
) -> float:
    """Share of the probes of a closed set that get their own label.

    Args:
        probe: float [Q, D], unit length.
        probe_label: int [Q], each of a person in the gallery.
        gallery: float [N, D], unit length, other images than the probes.
        gallery_label: int [N], the person of each image.
        k: Neighbours that vote, 1 to N.

    Raises:
        ValueError: As `knn_classify`, or a probe shows somebody who is not in the gallery.
    """
    found = knn_classify(probe, gallery, gallery_label, k)
    probe_label = check_labels(probe_label, len(found), "probe_label")
    strangers = np.count_nonzero(~np.isin(probe_label, gallery_label))
    if strangers:
        raise ValueError(
            "A closed set has every probe's person in the gallery. Received: "
            f"{strangers} of {len(found)} probes of others. Leave them out, or take tpir_at_fpir."
        )
    return float(np.mean(found == probe_label))
