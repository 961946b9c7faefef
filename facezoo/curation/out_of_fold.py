"""Judges pictures by models that have not seen them: folds of pictures, one model for each."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.covariance import ledoit_wolf

from facezoo.curation.faces import Faces
from facezoo.curation.label_rules import Vote, far_vote
from facezoo.curation.leave_one_out import (
    Fit,
    class_totals,
    directions,
    nearest_other,
    strangers_limit,
)

Transform = Callable[[NDArray[np.float32]], NDArray[np.float32]]
FitModel = Callable[[NDArray[np.float32], NDArray[np.integer]], Transform]

_SMALLEST_VARIANCE: Final = 1e-6


def fit_whitening(embedding: NDArray[np.float32], label: NDArray[np.integer]) -> Transform:
    """Learns in which directions pictures of one person differ, and makes these count less.

    Linear discriminant analysis with the covariance within people shrunk: cosines of what it
    returns compare people as its scores do.

    Args:
        embedding: float32 [N, D], unit length.
        label: int [N].

    Returns:
        What takes embeddings [M, D] to embeddings [M, D], unit length.

    Source:
        Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
        Journal of Multivariate Analysis 88, 2004, for the shrinkage.
    """
    people, label = np.unique(label, return_inverse=True)
    counts = np.bincount(label)
    mean = class_totals(embedding, label, len(people)) / counts[:, None]
    apart = (embedding - mean[label])[counts[label] > 1]
    if not len(apart):
        return directions
    covariance, _ = ledoit_wolf(apart, assume_centered=True)
    covariance = covariance + _SMALLEST_VARIANCE * np.eye(len(covariance))
    root = linalg.cholesky(covariance, lower=True)
    inverse = linalg.solve_triangular(root, np.eye(len(root)), lower=True).astype(np.float32)
    return lambda vectors: directions(np.ascontiguousarray(vectors @ inverse.T))


def fold_of(label: NDArray[np.integer], num_folds: int) -> NDArray[np.int64]:
    """Deals the pictures of each person to folds, one after the other; int64 [N].

    Example:
        >>> fold_of(np.array([0, 1, 0, 0, 1]), num_folds=2).tolist()
        [0, 1, 1, 0, 0]
    """
    order = np.argsort(label, kind="stable")
    fold = np.empty(len(label), np.int64)
    # Dealt on where the person before ended: folds stay equally large where people have few.
    fold[order] = np.arange(len(label)) % num_folds
    return fold


def out_of_fold(
    faces: Faces, num_folds: int = 5, percentile: float = 98.0, fit: FitModel = fit_whitening
) -> Vote:
    """Votes against pictures that fit no better than a stranger, by a model that never saw them.

    For each fold a model is fitted to the pictures of all others. It judges those of the fold as
    `far_from_center` does, with people's means over the other folds.

    Args:
        faces: The pictures.
        num_folds: At least 2.
        percentile: Of strangers' cosines, in [0, 100].
        fit: Takes embeddings [M, D] and labels [M] and returns what takes embeddings to better
            ones of any length. It may train whatever it likes.

    Returns:
        Votes; the value is how far the cosine with the own person lies above the fold's limit. No
        vote on people with one picture.

    Raises:
        ValueError: `num_folds` is below 2.
    """
    if num_folds < 2:
        raise ValueError(f"num_folds must be at least 2. Received: num_folds={num_folds}.")
    fold = fold_of(faces.label, num_folds)
    is_wrong = np.zeros(faces.num_images, bool)
    value = np.full(faces.num_images, np.nan, np.float32)
    for one in range(num_folds):
        held = np.flatnonzero(fold == one)
        others = np.flatnonzero(fold != one)
        if held.size and others.size:
            vote = _judge(faces, held, others, percentile, fit)
            is_wrong[held], value[held] = vote.is_wrong, vote.value - vote.limit
    return Vote(is_wrong, value, 0.0)


def _judge(
    faces: Faces,
    held: NDArray[np.intp],
    others: NDArray[np.intp],
    percentile: float,
    fit: FitModel,
) -> Vote:
    transform = fit(faces.embedding[others], faces.label[others])
    known = directions(np.asarray(transform(faces.embedding[others]), np.float32))
    probe = directions(np.asarray(transform(faces.embedding[held]), np.float32))
    label = faces.label[held]
    centers = directions(class_totals(known, faces.label[others], faces.num_people))
    own = np.einsum("nd,nd->n", probe, centers[label])
    own = np.where(np.any(centers[label], axis=1), own, np.nan)
    limit = strangers_limit(probe, label, centers, percentile)
    return far_vote(Fit(own, *nearest_other(probe, label, centers)), limit)
