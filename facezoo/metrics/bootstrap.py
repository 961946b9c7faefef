"""Intervals by drawing people anew: pairs of one person rise and fall together."""

import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.pairs import check_pairs, check_per_pair
from facezoo.metrics.targets import check_share, most_within

_FEWEST_PEOPLE: Final = 3
_SEED: Final = 0
_SIDES: Final = ("left", "right")

Weights = tuple[NDArray[np.float64], NDArray[np.float64]]


def bootstrap_verification(
    distance: ArrayLike,
    same: ArrayLike,
    person: ArrayLike,
    targets: Sequence[float] = (),
    threshold: ArrayLike | None = None,
    num_resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """How far the scores could be off if other people had been photographed.

    A resample draws as many people as there are, with replacement. A genuine pair then counts as
    often as its person was drawn, an impostor pair as often as the product of its two people's
    numbers. Pairs that share a person are not independent, and an interval that takes them as
    such, as Wilson's does, is too narrow.

    Args:
        distance: float [P].
        same: bool [P], whether both images show one person.
        person: int [P, 2], who is on either side; 0 or more, three people or more.
        targets: FARs in [0, 1] at which VAL is wanted; the threshold is chosen in each resample.
            Whether the pairs suffice for them is for `supports_far` to say.
        threshold: Distance up to which a pair is accepted, or float [P], each pair's own.
        num_resamples: 2 or more. The draws are the same at every call.
        confidence: Between 0 and 1.

    Returns:
        `(low, high)` each: `auc_interval`, `eer_interval`, and `val_at_far_intervals` by target;
        with `threshold` also `accuracy_interval`, `val_interval` and `far_interval` there.

    Raises:
        ValueError: Shapes do not fit, a person is unknown or contradicts `same`, there are fewer
            than three people, or a number is out of range.

    Numerics:
        Percentiles of the resamples. A resample that happens to hold one kind of pairs only has
        no scores, and is drawn again. With few people, some twenty, the truth is outside more
        often than `confidence` says: so few cannot show how people differ.

    Source:
        R. Bolle, N. Ratha and S. Pankanti, "Error analysis of pattern recognition systems: the
        subsets bootstrap", CVIU 93 (2004), page 1 ff., for people; A. Owen, "The pigeonhole
        bootstrap", Annals of Applied Statistics 1 (2007), page 386 ff., for products.
    """
    distance, same = check_pairs(distance, same)
    person = _check_people(person, same)
    _check_numbers(targets, num_resamples, confidence)
    pairs = _SortedPairs(distance, same, person)
    accepted = None if threshold is None else pairs.accepted(distance, threshold)
    found = []
    for weight in pairs.resamples(num_resamples, np.random.default_rng(_SEED)):
        curve = _WeightedCurve(pairs, weight)
        fixed = () if accepted is None else _rates(weight, accepted)
        found.append((curve.auc(), curve.eer(), *fixed, *map(curve.val_at_far, targets)))
    names = ["auc", "eer", *([] if accepted is None else ["accuracy", "val", "far"])]
    tails = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    intervals = list(zip(*tails.tolist(), strict=True))
    named = {f"{name}_interval": one for name, one in zip(names, intervals, strict=False)}
    at_far = dict(zip(targets, intervals[len(names) :], strict=True))
    return {**named, "val_at_far_intervals": at_far}


def _check_people(person: ArrayLike, same: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns people numbered from 0, [P, 2]."""
    person = check_per_pair(person, (len(same), 2), "person")
    if unknown := np.count_nonzero((person < 0).any(axis=1)):
        raise ValueError(
            f"People can be drawn only if they are known. Received: {unknown} of {len(person)} "
            "pairs with a person below 0. Leave the interval out, or take Wilson's and say so."
        )
    wrong = np.count_nonzero((person[:, 0] == person[:, 1]) != same)
    if wrong:
        raise ValueError(f"same contradicts person in {wrong} of {len(person)} pairs.")
    people, number = np.unique(person, return_inverse=True)
    if len(people) < _FEWEST_PEOPLE:
        raise ValueError(
            f"It takes {_FEWEST_PEOPLE} people or more: of two, every resample with both kinds of "
            f"pairs is the set itself. Received: {len(people)}."
        )
    return number.reshape(person.shape)


def _check_numbers(targets: Sequence[float], num_resamples: int, confidence: float) -> None:
    for target in targets:
        check_share(target, "FAR")
    if num_resamples < 2 or not 0 < confidence < 1:
        raise ValueError(
            "num_resamples must be 2 or more, and confidence between 0 and 1. "
            f"Received: num_resamples={num_resamples}, confidence={confidence}."
        )


class _SortedPairs:
    """Everything that resamples share: what is sorted here is never sorted again.

    Pairs come as (genuine, impostor), each by ascending distance.
    """

    def __init__(self, distance: NDArray, same: NDArray, person: NDArray) -> None:
        order = np.argsort(distance, kind="stable")
        self._order = [order[same[order]], order[~same[order]]]
        self._person = [person[order].T for order in self._order]
        self._num_people = int(person.max()) + 1
        kinds = [distance[order] for order in self._order]
        # Genuine pairs among the impostors: how many of these are nearer, and as near at most.
        self.nearer, self.as_near = (np.searchsorted(kinds[1], kinds[0], s) for s in _SIDES)
        distinct = np.unique(distance)
        self.num_accepted = [
            np.concatenate([[0], np.searchsorted(kind, distinct, "right")]) for kind in kinds
        ]

    def accepted(self, distance: NDArray, threshold: ArrayLike) -> list[NDArray[np.float64]]:
        """1.0 for the pairs at or below the threshold and 0.0 for the rest."""
        threshold = np.asarray(threshold, np.float64)
        if threshold.shape not in ((), distance.shape) or np.isnan(threshold).any():
            raise ValueError(
                f"threshold must be one number, or one for each of {len(distance)} pairs. "
                f"Received: shape={threshold.shape}, {np.isnan(threshold).sum()} NaN."
            )
        accepted = (distance <= threshold).astype(np.float64)
        return [accepted[order] for order in self._order]

    def resamples(self, num_resamples: int, random: np.random.Generator) -> Iterator[Weights]:
        """Yields the weights of the pairs, of as many draws of people as hold both kinds."""
        (genuine, _), (one, other) = self._person
        left = num_resamples
        while left:
            drawn = random.integers(0, self._num_people, self._num_people)
            times = np.bincount(drawn, minlength=self._num_people).astype(np.float64)
            weight = times[genuine], times[one] * times[other]
            if weight[0].any() and weight[1].any():
                left -= 1
                yield weight


class _WeightedCurve:
    """The ROC curve of weighted pairs; looked up where it is needed, never written out."""

    def __init__(self, pairs: _SortedPairs, weight: Weights) -> None:
        self._pairs = pairs
        self._genuine_weight = weight[0]
        # Whole numbers in float64: their sums are exact.
        self._sums = [np.concatenate([[0.0], np.cumsum(one)]) for one in weight]
        self._total = [one[-1] for one in self._sums]

    def auc(self) -> float:
        pairs, sums, total = self._pairs, self._sums[1], self._total
        further = total[1] - (sums[pairs.nearer] + sums[pairs.as_near]) / 2.0
        return float(self._genuine_weight @ further / (total[0] * total[1]))

    def eer(self) -> float:
        after = self._first(lambda step: self._excess(step) >= 0.0)
        before = self._excess(after - 1)
        weight = before / (before - self._excess(after))
        far = self._rate(1, after - 1), self._rate(1, after)
        return far[0] + weight * (far[1] - far[0])

    def val_at_far(self, target: float) -> float:
        allowed = most_within(target, int(self._total[1]))
        accepted, sums = self._pairs.num_accepted[1], self._sums[1]
        too_far = self._first(lambda step: sums[accepted[step]] > allowed)
        return self._rate(0, too_far - 1)

    def _first(self, condition: Callable[[int], bool]) -> int:
        """The first step at which a condition holds that never ends, once it does."""
        return bisect.bisect_left(range(len(self._pairs.num_accepted[0])), True, key=condition)

    def _excess(self, step: int) -> float:
        """FAR - (1 - VAL): from -1 up to 1."""
        return self._rate(1, step) + self._rate(0, step) - 1.0

    def _rate(self, kind: int, step: int) -> float:
        return float(self._sums[kind][self._pairs.num_accepted[kind][step]] / self._total[kind])


def _rates(weight: Weights, accepted: list[NDArray[np.float64]]) -> tuple[float, float, float]:
    """Accuracy, VAL and FAR."""
    val, far = (float(one @ mask / one.sum()) for one, mask in zip(weight, accepted, strict=True))
    return (val + 1.0 - far) / 2.0, val, far
