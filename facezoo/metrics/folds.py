"""Scores by folds: each fold is scored at a threshold that was chosen on all the others."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.pairs import check_pairs, check_per_pair
from facezoo.metrics.verification import best_threshold, operating_point, val_at_far


@dataclass(frozen=True, eq=False)
class FoldScores:
    """What each fold's threshold does on that fold.

    Args:
        threshold: float64 [K], chosen on the other folds.
        val: float64 [K], share of the fold's genuine pairs accepted.
        far: float64 [K], share of the fold's impostor pairs accepted.
    """

    threshold: NDArray[np.float64]
    val: NDArray[np.float64]
    far: NDArray[np.float64]

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """`(VAL + 1 - FAR) / 2` of each fold, [K].

        With as many genuine as impostor pairs in a fold, as in LFW's 300 and 300, this is the
        plain share of right answers.
        """
        return (self.val + 1.0 - self.far) / 2.0

    @property
    def accuracy(self) -> float:
        """Mean of the accuracies."""
        return mean_and_error(self.accuracies)[0]

    @property
    def standard_error(self) -> float:
        """Of the mean of the accuracies; of VAL and FAR it is `mean_and_error` that tells."""
        return mean_and_error(self.accuracies)[1]


def mean_and_error(value: ArrayLike) -> tuple[float, float]:
    """Mean over folds or splits, and its standard error.

    Args:
        value: float [K], K >= 2.

    Returns:
        `(mean, s / sqrt(K))`, with `s` the standard deviation that divides by K - 1.

    Raises:
        ValueError: There are fewer than two values.

    Example:
        >>> mean_and_error([0.5, 1.0])
        (0.75, 0.25)

    Source:
        G. Huang et al., "Labeled Faces in the Wild", technical report 07-49 (2007): the estimated
        mean accuracy of View 2 and its standard error.
    """
    value = np.asarray(value, dtype=np.float64)
    if value.ndim != 1 or len(value) < 2:
        raise ValueError(f"A standard error takes two values or more. Received: {value.tolist()}.")
    return float(value.mean()), float(value.std(ddof=1) / len(value) ** 0.5)


def fold_accuracy(distance: ArrayLike, same: ArrayLike, fold: ArrayLike) -> FoldScores:
    """Scores each fold at the best threshold of the others, by `best_threshold`.

    Args:
        distance: float [P].
        same: bool [P], whether both images show one person.
        fold: int [P] from 0; two folds or more, each with both kinds of pairs.

    Returns:
        Scores whose `accuracy` and `standard_error` are what LFW's protocol reports.

    Raises:
        ValueError: Shapes do not fit, a distance is not finite, or a fold lacks a kind.

    Source:
        G. Huang et al., "Labeled Faces in the Wild", technical report 07-49 (2007), View 2.
    """
    return _score_folds(distance, same, fold, best_threshold)


def fold_val_at_far(
    distance: ArrayLike, same: ArrayLike, fold: ArrayLike, target: float, allow_few: bool = False
) -> FoldScores:
    """Scores each fold at the most generous threshold whose FAR on the others is in the target.

    On the fold itself the FAR can come out higher or lower; that is what it tells.

    Args:
        distance: float [P].
        same: bool [P], whether both images show one person.
        fold: int [P] from 0; two folds or more, each with both kinds of pairs.
        target: Highest FAR allowed on the other folds, in [0, 1].
        allow_few: Takes fewer than `10 / target` impostor pairs in the other folds too.

    Raises:
        ValueError: As `fold_accuracy`, or the impostor pairs are too few for the target.
    """

    def choose(genuine: NDArray, impostor: NDArray) -> float:
        return val_at_far(genuine, impostor, target, allow_few).threshold

    return _score_folds(distance, same, fold, choose)


def _score_folds(
    distance: ArrayLike,
    same: ArrayLike,
    fold: ArrayLike,
    choose: Callable[[NDArray, NDArray], float],
) -> FoldScores:
    distance, same = check_pairs(distance, same)
    fold = check_per_pair(fold, distance.shape, "fold")
    _check_folds(same, fold)
    points = []
    for number in range(fold.max() + 1):
        test = fold == number
        threshold = choose(distance[~test & same], distance[~test & ~same])
        points.append(operating_point(distance[test & same], distance[test & ~same], threshold))
    columns = zip(*((point.threshold, point.val, point.far) for point in points), strict=True)
    return FoldScores(*map(np.array, columns))


def _check_folds(same: NDArray, fold: NDArray) -> None:
    num_folds = int(fold.max()) + 1
    if fold.min() < 0 or num_folds < 2:
        raise ValueError(
            "fold must number two folds or more from 0. "
            f"Received: numbers from {fold.min()} to {fold.max()}."
        )
    for kind, pairs in (("genuine", fold[same]), ("impostor", fold[~same])):
        if lacking := sorted(set(range(num_folds)) - set(pairs.tolist())):
            raise ValueError(
                f"Each fold from 0 to {num_folds - 1} must hold both kinds of pairs. "
                f"No {kind} pair in fold {', '.join(map(str, lacking))}."
            )
