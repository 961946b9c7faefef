"""Every metric passes every check; and what is particular to thresholds, curves and intervals."""

import doctest

import numpy as np
import pytest
import sklearn.metrics
from scipy.stats import binomtest, norm

from facezoo import metrics
from facezoo.metrics import det, fisher, roc, targets, verification
from tests.checks import metric as checks
from tests.checks.metric import HAND_GENUINE, HAND_IMPOSTOR, tied_scores


@pytest.mark.parametrize("name, check", checks.CROSSED)
def test_metric(name, check):
    checks.CHECKS[check](checks.METRICS[name])


def test_only_known_checks_are_left_out():
    left_out = {check for case in checks.METRICS.values() for check in case.not_applicable}
    assert left_out <= set(checks.CHECKS)


def test_roc_curve_equals_scikit_learn():
    for genuine, impostor in map(tied_scores, range(60)):
        truth = np.repeat([1, 0], [len(genuine), len(impostor)])
        score = -np.concatenate([genuine, impostor])
        fpr, tpr, score = sklearn.metrics.roc_curve(truth, score, drop_intermediate=False)
        curve = metrics.roc_curve(genuine, impostor)
        np.testing.assert_allclose(curve.far, fpr, atol=1e-12)
        np.testing.assert_allclose(curve.val, tpr, atol=1e-12)
        np.testing.assert_array_equal(curve.threshold[1:], -score[1:])


@pytest.mark.parametrize("smallest", [0.0, 1e-60, 0.1, 1.0, -2.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_first_threshold_accepts_nobody_in_float32_too(smallest, dtype):
    distances = np.array([smallest, 2.0], dtype)
    first = metrics.roc_curve(distances, distances).threshold[0]
    assert not np.any(distances <= first)
    assert not np.any(distances.astype(np.float32) <= np.float32(first))


def test_val_at_far_takes_the_largest_threshold_and_never_exceeds_the_target():
    for seed in range(200):
        genuine, impostor = tied_scores(seed)
        for target in (0.0, 0.01, 0.1, 0.29, 1 / 3, 0.5, 0.7, 0.999, 1.0):
            point = metrics.val_at_far(genuine, impostor, target, allow_few=True)
            assert np.mean(impostor <= point.threshold) == point.far <= target
            assert np.mean(genuine <= point.threshold) == point.val
            larger = [d for d in [*genuine, *impostor] if d > point.threshold]
            assert all(np.mean(impostor <= d) > target for d in larger)


def test_val_at_far_spends_the_whole_target():
    # In floating point 0.29 * 100 is below 29, and 29 / 100 is 0.29 all the same.
    point = metrics.val_at_far([0.5], np.arange(100), target=0.29)
    assert point.far == 0.29


def test_val_at_far_of_the_hand_example():
    points = [
        metrics.val_at_far(HAND_GENUINE, HAND_IMPOSTOR, far, allow_few=True)
        for far in (0.0, 0.1, 0.25)
    ]
    assert [point.threshold for point in points] == [0.6, 0.6, 1.1]
    assert [point.far for point in points] == [0.0, 0.0, 0.25]


def test_val_at_far_of_tied_pairs_refuses_all_of_the_tie():
    point = metrics.val_at_far([0.1, 0.5, 0.5], [0.5, 0.5, 0.9], 0.5, allow_few=True)
    assert (point.threshold, point.val, point.far) == (0.1, 1 / 3, 0.0)


def test_val_at_far_without_any_threshold_refuses_everybody():
    point = metrics.val_at_far([0.5, 0.9], [0.2, 0.8], 0.3, allow_few=True)
    assert (point.val, point.far) == (0.0, 0.0)
    assert point.threshold < 0.2
    assert np.isfinite(point.threshold)


@pytest.mark.parametrize("target", [-0.1, 1.1, np.nan])
def test_val_at_far_refuses_targets_that_are_no_share(target):
    with pytest.raises(ValueError, match=r"target must be a FAR in \[0, 1\]"):
        metrics.val_at_far([0.1], [0.2], target)


@pytest.mark.parametrize("target, fewest", [(1e-2, 1000), (1e-3, 10_000), (0.29, 35), (1.0, 10)])
def test_val_at_far_refuses_targets_that_ten_pairs_do_not_support(target, fewest):
    impostor = np.arange(1.0, fewest + 1)
    assert metrics.supports_far(target, fewest)
    assert metrics.val_at_far([0.0], impostor, target).far <= target
    assert not metrics.supports_far(target, fewest - 1)
    message = rf"takes {fewest:,} impostor pairs.*{fewest - 1:,} impostor pairs.*allow_few=True"
    with pytest.raises(ValueError, match=message):
        metrics.val_at_far([0.0], impostor[1:], target)
    assert metrics.val_at_far([0.0], impostor[1:], target, allow_few=True).far <= target


def test_no_number_of_pairs_supports_a_far_of_zero():
    assert not metrics.supports_far(0.0, 10**12)
    assert not metrics.supports_far(1.0, 0)
    with pytest.raises(ValueError, match="more than any number of impostor pairs"):
        metrics.val_at_far([0.0], [1.0], target=0.0)


def test_det_curve_equals_scikit_learn_and_the_normal_distribution():
    for genuine, impostor in map(tied_scores, range(60)):
        truth = np.repeat([1, 0], [len(genuine), len(impostor)])
        score = -np.concatenate([genuine, impostor])
        far, frr, threshold = sklearn.metrics.det_curve(truth, score)
        curve = metrics.det_curve(genuine, impostor)
        # scikit-learn leaves out what lies before the first and after the last error.
        place = np.searchsorted(curve.threshold, -threshold[np.isfinite(threshold)])
        kept = np.isfinite(threshold)
        np.testing.assert_allclose(curve.far[place], far[kept], atol=1e-12)
        np.testing.assert_allclose(curve.frr[place], frr[kept], atol=1e-12)


def test_det_deviates_of_normal_scores_are_a_line():
    random = np.random.default_rng(0)
    curve = metrics.det_curve(random.normal(1, 0.3, 20_000), random.normal(2, 0.3, 20_000))
    inner = (np.abs(curve.far_deviate) < 2) & (np.abs(curve.frr_deviate) < 2)
    total = curve.far_deviate[inner] + curve.frr_deviate[inner]
    np.testing.assert_allclose(total, -(2 - 1) / 0.3, atol=0.12)
    np.testing.assert_allclose(norm.cdf(curve.far_deviate), curve.far, atol=1e-12)


def test_det_deviates_of_none_and_all_are_infinite():
    curve = metrics.det_curve([0.1], [0.2])
    assert curve.far_deviate.tolist() == [-np.inf, -np.inf, np.inf]
    assert curve.frr_deviate.tolist() == [np.inf, -np.inf, -np.inf]


def test_fisher_ratio_where_nothing_is_spread():
    assert metrics.fisher_ratio([0.1, 0.1], [0.3]) == np.inf
    assert metrics.fisher_ratio([0.1, 0.1], [0.1]) == 0.0


def test_eer_gives_the_threshold_where_errors_come_nearest():
    assert metrics.eer(HAND_GENUINE, HAND_IMPOSTOR) == (0.25, 0.95)
    # The polygon goes from (0, 1/2) to (1, 1), and crosses FAR = 1 - VAL at 1/3.
    rate, threshold = metrics.eer([0.1, 0.5], [0.5])
    assert rate == pytest.approx(1 / 3)
    assert threshold == 0.1


def test_operating_point_and_accuracy_of_the_hand_example():
    point = metrics.operating_point(HAND_GENUINE, HAND_IMPOSTOR, 0.9)
    assert (point.threshold, point.val, point.far) == (0.9, 0.75, 0.125)
    assert metrics.accuracy(HAND_GENUINE, HAND_IMPOSTOR, 0.9) == 0.8125
    assert metrics.accuracy(HAND_GENUINE, HAND_IMPOSTOR, 1.1) == 0.8125


def test_accuracy_weighs_both_kinds_the_same():
    truth, refused = [1] * 2 + [0] * 98, [0] * 100
    expected = sklearn.metrics.balanced_accuracy_score(truth, refused)
    assert metrics.accuracy([1.0] * 2, [1.0] * 98, threshold=0.5) == expected == 0.5


def test_a_threshold_is_not_rounded_to_the_type_of_the_distances():
    distance = np.array([1.0], np.float32)
    below = 1.0 - 1e-9  # float32 would round it to 1.
    assert metrics.accuracy(distance, distance + 1, below) == 0.5


def test_best_threshold_is_the_middle_of_the_widest_of_the_best_steps():
    # 0.8125 on [0.9, 0.95) and on [1.1, 1.2).
    assert metrics.best_threshold(HAND_GENUINE, HAND_IMPOSTOR) == pytest.approx(1.15)


def test_best_threshold_sees_one_step_where_a_tie_changes_nothing():
    # 1.0 adds as many genuine as impostor pairs, so [0, 3) is one step.
    assert metrics.best_threshold([0.0, 1.0], [1.0, 3.0]) == 1.5


def test_best_threshold_where_the_best_is_to_accept_everybody():
    assert metrics.best_threshold([0.8, 0.9], [0.1, 0.2]) == 0.9


@pytest.mark.parametrize("successes, trials", [(0, 10), (8, 10), (10, 10), (1, 1), (399, 4500)])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_wilson_interval_equals_scipy(successes, trials, confidence):
    expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    found = metrics.wilson_interval(successes, trials, confidence)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0.0 <= found[0] < found[1] <= 1.0


@pytest.mark.parametrize("arguments", [(-1, 10), (11, 10), (0, 0), (1, 2, 0.0), (1, 2, 1.0)])
def test_wilson_interval_refuses_numbers_out_of_range(arguments):
    with pytest.raises(ValueError, match="Received"):
        metrics.wilson_interval(*arguments)


@pytest.mark.parametrize("module", [det, fisher, roc, targets, verification])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
