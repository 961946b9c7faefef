"""FaceNet's own protocol: VAL at a FAR over all pairs of several large sets, by blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.metrics import (
    DistanceHistogram,
    LabelledRows,
    OperatingPoint,
    PairMatrix,
    mean_and_error,
)

IDENTITY: Final = "identity"
IMAGE: Final = "image"
Halves = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class SplitScores:
    """What one split says.

    Args:
        point: The most generous threshold whose FAR in this split is within the target.
        macro_val: Mean over people of the share of their genuine pairs accepted there.
        auc: Area under the ROC curve; pairs of one bin count one half.
        num_genuine: Pairs of one person.
        num_impostor: Pairs of two people.
        num_people: People with a genuine pair, over whom `macro_val` is the mean.
    """

    point: OperatingPoint
    macro_val: float
    auc: float
    num_genuine: int
    num_impostor: int
    num_people: int


@dataclass(frozen=True)
class HoldoutScores:
    """What all splits say together, each with the standard error of the mean over splits.

    Args:
        splits: One by one.
        val: Mean VAL and its standard error; whoever has many images has most of the pairs.
        macro_val: The same with every person weighing as much as the next.
        auc: Mean area under the ROC curve, and its standard error.
    """

    splits: tuple[SplitScores, ...]
    val: tuple[float, float]
    macro_val: tuple[float, float]
    auc: tuple[float, float]


def holdout_splits(
    label: NDArray, num_splits: int = 5, disjoint: str = IDENTITY, seed: int = 0
) -> list[Halves]:
    """Deals images into splits, and those of each split into rows and columns.

    Args:
        label: int [N], the person of each image.
        num_splits: 2 or more.
        disjoint: `"identity"`, no person in two splits, so that the standard error tells what
            other people would change; `"image"`, no image in two splits, as the paper has it:
            splits then share people, and agree more than splits of other people would.
        seed: Decides the deal.

    Returns:
        `(rows int [R], columns int [C])` of each split: which images; no image twice, and none
        left out. Of a split's images, half are rows, to within one.

    Raises:
        ValueError: `num_splits` or `disjoint` is out of range, or there are not so many people or
            images.
    """
    if disjoint not in (IDENTITY, IMAGE):
        raise ValueError(f"disjoint must be {IDENTITY!r} or {IMAGE!r}. Received: {disjoint!r}.")
    random, label = np.random.default_rng(seed), np.asarray(label)
    group = (
        np.unique(label, return_inverse=True)[1] if disjoint == IDENTITY else np.arange(len(label))
    )
    num_groups = int(group.max(initial=-1)) + 1
    if not 2 <= num_splits <= num_groups:
        raise ValueError(
            f"num_splits must be from 2 to {num_groups}, of which no two splits may share any "
            f"({disjoint}). Received: {num_splits}."
        )
    split = (random.permutation(num_groups) % num_splits)[group]
    images = [random.permutation(np.flatnonzero(split == number)) for number in range(num_splits)]
    return [(some[: len(some) // 2], some[len(some) // 2 :]) for some in images]


def evaluate_holdout(
    embedding: NDArray,
    label: NDArray,
    splits: Sequence[Halves],
    target: float = 1e-3,
    allow_few: bool = False,
) -> HoldoutScores:
    """VAL at a FAR over all pairs rows x columns of each split, and over the splits.

    The paper's splits are 100,000 x 100,000 images each: 10^10 pairs, of which only a histogram
    is kept.

    Args:
        embedding: float [N, D], unit length.
        label: int [N], the person of each image.
        splits: What `holdout_splits` returned, or splits made otherwise.
        target: Highest FAR allowed, in [0, 1].
        allow_few: Takes fewer than `10 / target` impostor pairs per split too.

    Raises:
        ValueError: A row is not of unit length, a split lacks a kind of pairs or has too few
            impostor pairs, or there are fewer than two splits.

    Numerics:
        Thresholds lie on the edges of 2^14 bins, 0.00024 apart; FAR never exceeds the target.

    Source:
        FaceNet, arXiv 1503.03832, sections 4 and 4.1, equations 5 to 7.
    """
    found = tuple(
        score_split(
            LabelledRows.sort(embedding[rows], label[rows]),
            LabelledRows.sort(embedding[columns], label[columns]),
            target,
            allow_few,
        )
        for rows, columns in splits
    )
    return summarise(found)


def score_split(
    rows: LabelledRows, columns: LabelledRows, target: float, allow_few: bool = False
) -> SplitScores:
    """Scores one split.

    Raises:
        ValueError: The split lacks a kind of pairs, or has too few impostor pairs.
    """
    matrix = PairMatrix(rows, columns)
    return score_histogram(matrix, matrix.histogram(), target, allow_few)


def score_histogram(
    matrix: PairMatrix, histogram: DistanceHistogram, target: float, allow_few: bool = False
) -> SplitScores:
    """Scores one split of which all pairs have been counted, here or elsewhere.

    Args:
        matrix: The split.
        histogram: Of all its pairs.
        target: Highest FAR allowed, in [0, 1].
        allow_few: Takes fewer than `10 / target` impostor pairs too.

    Raises:
        ValueError: The split lacks a kind of pairs, or has too few impostor pairs.
    """
    point = histogram.val_at_far(target, allow_few)
    num_accepted = int(np.searchsorted(histogram.edge[1:], point.threshold, side="right"))
    accepted, genuine = matrix.accepts_by_person(num_accepted)
    return SplitScores(
        point,
        macro_val=float(np.mean(accepted / genuine)),
        auc=histogram.auc()[0],
        num_genuine=int(histogram.genuine.sum()),
        num_impostor=int(histogram.impostor.sum()),
        num_people=len(genuine),
    )


def summarise(splits: Sequence[SplitScores]) -> HoldoutScores:
    """Means over splits and their standard errors.

    Raises:
        ValueError: There are fewer than two splits.
    """
    columns = zip(*((one.point.val, one.macro_val, one.auc) for one in splits), strict=True)
    return HoldoutScores(tuple(splits), *map(mean_and_error, columns))
