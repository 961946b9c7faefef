"""Retrieval within one set, each image the query in turn: precision@1, R-precision, MAP@R."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.embeddings import check_embedding, check_labels
from facezoo.metrics.nearest import nearest

# Neighbours held at once: 12 bytes each, and as much again while they are put in order.
_NEIGHBOURS_PER_BLOCK: Final = 2**22


@dataclass(frozen=True)
class RetrievalScores:
    """How well the nearest images of an image show the same person.

    R is the number of other images of the query's person.

    Args:
        precision_at_1: Share of the queries whose nearest image shows the same person.
        r_precision: Mean share of the same person among the R nearest.
        map_at_r: As `r_precision`, but what comes later counts less: the mean over ranks 1 to R
            of the precision up to there, 0 at ranks that show another person.
        num_queries: Images that have another of their person.
        num_alone: Images that have none. They are found by the others, but ask nothing.
    """

    precision_at_1: float
    r_precision: float
    map_at_r: float
    num_queries: int
    num_alone: int


def retrieval_scores(embedding: ArrayLike, label: ArrayLike) -> RetrievalScores:
    """Asks each image for its person's other images, and leaves itself out of the answer.

    Args:
        embedding: float [N, D], unit length.
        label: int [N], the person of each image; one of them with two images or more.

    Returns:
        Means over all queries.

    Raises:
        ValueError: No person has two images, a row is not of unit length, or shapes do not fit.

    Numerics:
        float32 products. Of images at the same distance the first comes first.

    Source:
        K. Musgrave, S. Belongie and S.-N. Lim, "A metric learning reality check", arXiv
        2003.08505, "Informative accuracy metrics".
    """
    embedding = check_embedding(embedding)
    label = check_labels(label, len(embedding))
    _, person, images = np.unique(label, return_inverse=True, return_counts=True)
    num_others = images[person] - 1
    query = np.flatnonzero(num_others)
    if not query.size:
        raise ValueError(
            f"No person has two images, so nothing can be found. Received: {len(label)} images "
            f"of {len(images)} people. Add images per person."
        )
    scores = [_scores(right, others) for right, others in _answers(embedding, person, num_others)]
    means = np.concatenate(scores, axis=1).mean(axis=1)
    return RetrievalScores(*means.tolist(), len(query), len(label) - len(query))


def _answers(
    embedding: NDArray, person: NDArray, num_others: NDArray
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Yields of some queries which of their nearest are right, and how many could be."""
    # Those with as many to find together, so that nobody is asked for more than needed.
    query = np.argsort(num_others, kind="stable")
    query = query[num_others[query] > 0]
    while query.size:
        others = num_others[query]
        fitting = np.arange(1, len(query) + 1) * (others + 1) <= _NEIGHBOURS_PER_BLOCK
        size = max(1, np.count_nonzero(fitting))
        some, query, most = query[:size], query[size:], others[size - 1]
        _, index = nearest(embedding[some], embedding, most + 1)
        itself = index == some[:, None]
        # Of many equal images, the first may have pushed the query out of its own answer.
        itself[~itself.any(axis=1), -1] = True
        index = index[~itself].reshape(size, most)
        yield person[index] == person[some, None], others[:size]


def _scores(right: NDArray[np.bool_], num_others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Precision@1, R-precision and average precision at R of each query, [3, Q]."""
    rank = np.arange(1, right.shape[1] + 1)
    right = right & (rank <= num_others[:, None])
    precision = np.cumsum(right, axis=1) / rank
    totals = right.sum(axis=1), np.sum(precision * right, axis=1)
    return np.stack([right[:, 0], totals[0] / num_others, totals[1] / num_others])
