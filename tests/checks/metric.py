"""What every verification metric must do; `METRICS` lists them with what is known of each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import sklearn.metrics
from scipy.optimize import brentq

from facezoo import metrics
from tests.oracles import verification as oracle

HAND_GENUINE = [0.2, 0.35, 0.5, 0.6, 0.8, 0.9, 1.1, 1.6]
HAND_IMPOSTOR = [0.7, 0.95, 1.2, 1.3, 1.4, 1.5, 1.7, 1.9]
_NUM_GENUINE, _NUM_IMPOSTOR = 400, 600


@dataclass(frozen=True)
class MetricCase:
    """A metric and what is known of it.

    Args:
        function: (genuine, impostor) -> number.
        hand: Its value on `HAND_GENUINE` and `HAND_IMPOSTOR`.
        perfect: Its value where every genuine pair is closer than every impostor pair.
        chance: Interval that holds its value on 400 genuine and 600 impostor pairs of one
            distribution, but for one case in ten thousand.
        oracle: The slow formula.
        reference: The same from scikit-learn, given its (fpr, tpr) and (is_genuine, score); None
            where it has none.
        not_applicable: Names of checks that ask for something it does not promise.
    """

    function: Callable
    hand: float
    perfect: float | None
    chance: tuple[float, float]
    oracle: Callable
    reference: Callable | None
    not_applicable: tuple[str, ...] = ()


def _sklearn_eer(fpr, tpr, *_):
    return brentq(lambda x: 1 - x - np.interp(x, fpr, tpr), 0.0, 1.0, xtol=1e-12)


def _best_accuracy(genuine, impostor):
    return metrics.accuracy(genuine, impostor, metrics.best_threshold(genuine, impostor))


def _val_at_far(target, hand, chance):
    return MetricCase(
        lambda genuine, impostor: metrics.val_at_far(genuine, impostor, target, allow_few=True).val,
        hand=hand,
        perfect=1.0,
        chance=chance,
        oracle=lambda genuine, impostor: oracle.val_at_far(genuine, impostor, target),
        reference=lambda fpr, tpr, *_: tpr[fpr <= target].max(),
    )


METRICS = {
    # Four standard errors: sqrt((G + I + 1) / (12 G I)) = 0.0186.
    "auc": MetricCase(
        metrics.auc,
        hand=0.84375,
        perfect=1.0,
        chance=(0.425, 0.575),
        oracle=oracle.auc,
        reference=lambda fpr, tpr, truth, score: sklearn.metrics.roc_auc_score(truth, score),
    ),
    "eer": MetricCase(
        lambda genuine, impostor: metrics.eer(genuine, impostor)[0],
        hand=0.25,
        perfect=0.0,
        chance=(0.42, 0.58),
        oracle=oracle.eer,
        reference=_sklearn_eer,
    ),
    # The best of all thresholds is above one half; Kolmogorov and Smirnov say by how much.
    "accuracy": MetricCase(
        _best_accuracy,
        hand=0.8125,
        perfect=1.0,
        chance=(0.5, 0.573),
        oracle=oracle.best_accuracy,
        reference=lambda fpr, tpr, *_: np.max((tpr + 1 - fpr) / 2),
    ),
    # It measures how far apart, not only in which order. Means that are four standard errors of
    # their difference apart give 16 (1/G + 1/I) / 2 = 0.033, whatever the variance.
    "fisher_ratio": MetricCase(
        metrics.fisher_ratio,
        hand=0.330625 / 0.308984375,
        perfect=None,
        chance=(0.0, 0.034),
        oracle=oracle.fisher_ratio,
        reference=None,
        not_applicable=(
            "check_perfect_separation",
            "check_worst_is_no_better_than_chance",
            "check_unchanged_by_a_monotone_map",
            "check_equals_scikit_learn",
        ),
    ),
    "val_at_far_0": _val_at_far(0.0, hand=0.5, chance=(0.0, 0.03)),
    # The nearest FAR to 0.1 is 0.125, with VAL 0.75: above the target, so not allowed.
    "val_at_far_0.1": _val_at_far(0.1, hand=0.5, chance=(0.02, 0.18)),
    "val_at_far_0.125": _val_at_far(0.125, hand=0.75, chance=(0.04, 0.21)),
    "val_at_far_0.25": _val_at_far(0.25, hand=0.875, chance=(0.14, 0.36)),
}


def tied_scores(seed):
    """Few distinct distances, so that ties abound within and between the kinds."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 30, size=2)
    return tuple(random.integers(low, 8 + low, size) / 8 for low, size in enumerate(sizes))


def check_hand_example(case):
    assert case.function(HAND_GENUINE, HAND_IMPOSTOR) == pytest.approx(case.hand, abs=1e-12)


def check_perfect_separation(case):
    assert case.function([0.1, 0.2, 0.3], [0.31, 0.9]) == case.perfect


def check_random_scores_give_chance(case):
    random = np.random.default_rng(7)
    low, high = case.chance
    assert low <= case.function(random.random(_NUM_GENUINE), random.random(_NUM_IMPOSTOR)) <= high


def check_worst_is_no_better_than_chance(case):
    worst = case.function([0.8, 0.9], [0.1, 0.2])
    assert worst >= 0.5 if case.perfect == 0.0 else worst <= 0.5


def check_unchanged_by_a_monotone_map(case):
    for genuine, impostor in map(tied_scores, range(20)):
        expected = case.function(genuine, impostor)
        for increasing in (np.exp, lambda d: 3 * d - 7, lambda d: (d - 1) ** 3):
            assert case.function(increasing(genuine), increasing(impostor)) == expected


def check_order_of_pairs_does_not_matter(case):
    for genuine, impostor in map(tied_scores, range(5)):
        # Means add up in another order.
        expected = pytest.approx(case.function(genuine, impostor), rel=1e-12)
        assert case.function(genuine[::-1], impostor[::-1]) == expected


def check_equals_oracle(case):
    for genuine, impostor in map(tied_scores, range(60)):
        expected = case.oracle(genuine.tolist(), impostor.tolist())
        assert case.function(genuine, impostor) == pytest.approx(expected, abs=1e-12)


def check_equals_scikit_learn(case):
    for genuine, impostor in map(tied_scores, range(60)):
        truth = np.repeat([1, 0], [len(genuine), len(impostor)])
        # A distance is the opposite of a score.
        score = -np.concatenate([genuine, impostor])
        fpr, tpr, _ = sklearn.metrics.roc_curve(truth, score, drop_intermediate=False)
        expected = case.reference(fpr, tpr, truth, score)
        assert case.function(genuine, impostor) == pytest.approx(expected, abs=1e-9)


def check_one_kind_only_raises(case):
    for genuine, impostor, kind in (([], [0.5], "genuine"), ([0.5], [], "impostor")):
        with pytest.raises(ValueError, match=f"no {kind} pair"):
            case.function(genuine, impostor)


def check_numbers_that_are_none_raise(case):
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"impostor .* finite.*1 of 2"):
            case.function([0.5], [0.7, bad])


def check_wrong_shape_raises(case):
    with pytest.raises(ValueError, match=r"genuine .* one-dimensional.*\(1, 2\)"):
        case.function([[0.1, 0.2]], [0.5])


def check_inputs_are_left_alone(case):
    genuine, impostor = np.array([0.9, 0.1]), np.array([0.8, 0.2])
    case.function(genuine, impostor)
    assert genuine.tolist() == [0.9, 0.1] and impostor.tolist() == [0.8, 0.2]


CHECKS = {name: check for name, check in sorted(globals().items()) if name.startswith("check_")}
CROSSED = [
    (name, check)
    for name, case in METRICS.items()
    for check in CHECKS
    if check not in case.not_applicable
]
