"""Thresholds chosen on some people and tested on others; the calibrated probability."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from facezoo import metrics, thresholds
from facezoo.evaluation.calibration import calibrate, calibration_errors
from facezoo.evaluation.scored_pairs import ScoredPairs, people_of
from facezoo.evaluation.threshold_choice import choose_thresholds, threshold_table

_BOUND = {"model": "aaaa", "preprocessing": "bbbb"}
_WORDS = {"chosen_on": "some people", "tested_on": "other people"}


def _pairs(seed, num_genuine=400, num_impostor=2000, shift=0.0):
    rng = np.random.default_rng(seed)
    genuine = rng.normal(0.7 + shift, 0.2, num_genuine)
    impostor = rng.normal(1.4 + shift, 0.2, num_impostor)
    distance = np.clip(np.concatenate([genuine, impostor]), 0.0, 4.0).astype(np.float32)
    same = np.repeat([True, False], [num_genuine, num_impostor])
    first = rng.integers(0, 200, len(distance))
    second = np.where(same, first, (first + rng.integers(1, 200, len(distance))) % 200)
    return ScoredPairs(distance, same, np.stack([first, second], axis=1))


def test_thresholds_are_those_of_the_metrics():
    pairs = _pairs(0)
    found = choose_thresholds(pairs, (1e-2,))
    genuine, impostor = pairs.genuine, pairs.impostor
    assert list(found) == ["accuracy", "eer", "far_1e-2"]
    assert found["accuracy"].threshold == metrics.best_threshold(genuine, impostor)
    assert found["eer"].threshold == metrics.eer(genuine, impostor)[1]
    assert found["far_1e-2"] == metrics.val_at_far(genuine, impostor, 1e-2)


def test_fars_that_the_pairs_do_not_support_are_left_out_unless_told():
    assert "far_1e-3" not in choose_thresholds(_pairs(0), (1e-2, 1e-3))
    assert "far_1e-3" in choose_thresholds(_pairs(0), (1e-2, 1e-3), allow_few=True)


def test_val_and_far_come_from_the_people_who_did_not_choose():
    chosen, tested = _pairs(0), _pairs(1, shift=-0.3)
    table = threshold_table(chosen, tested, _BOUND, _WORDS, (1e-2,), num_resamples=50)
    point = {one["name"]: one for one in table["operating_points"]}["far_1e-2"]
    assert point["chosen_far"] <= 1e-2
    # All distances of the tested people are smaller: the same threshold accepts more of them.
    assert point["far"] == np.mean(tested.impostor <= point["threshold"])
    assert point["far"] > 5e-2
    assert point["val"] == np.mean(tested.genuine <= point["threshold"])
    for rate, kind in (("far", tested.impostor), ("val", tested.genuine)):
        low, high = point[f"{rate}_interval"]
        wilson = metrics.wilson_interval(round(point[rate] * len(kind)), len(kind))
        assert low <= wilson[0] <= point[rate] <= wilson[1] <= high


def test_an_interval_without_any_error_is_not_empty():
    tested = _pairs(1)
    tested = ScoredPairs(np.where(tested.same, 0.1, 2.0).astype("f4"), tested.same, tested.person)
    table = threshold_table(_pairs(0), tested, _BOUND, _WORDS, (), num_resamples=50)
    point = table["operating_points"][0]
    assert (point["far"], point["val"]) == (0.0, 1.0)
    assert point["far_interval"][1] > 1e-4
    assert point["val_interval"][0] < 1.0


def test_a_table_without_other_people_says_so():
    table = threshold_table(_pairs(0), None, _BOUND, _WORDS, ())
    assert table["tested_on"] is None
    for point in table["operating_points"]:
        assert point["val"] is point["far"] is point["far_interval"] is None
    assert "log_loss" not in table["calibration"]


def test_a_table_is_one_that_the_library_reads():
    table = threshold_table(_pairs(0), _pairs(1), _BOUND, _WORDS, (1e-2,), num_resamples=20)
    thresholds.check_bound(table, "aaaa", "bbbb")
    assert thresholds.stored(table, 1e-2).operating_point == "far_1e-2"
    assert thresholds.stored(table, None).source == "some people"
    assert thresholds.probability(table, 0.2) > 0.99 > 0.01 > thresholds.probability(table, 2.0)


def test_calibration_is_logistic_regression_with_both_kinds_weighing_the_same():
    pairs = _pairs(2)
    found = calibrate(pairs.genuine, pairs.impostor)
    model = LogisticRegression(class_weight="balanced", tol=1e-8)
    model.fit(pairs.distance[:, None].astype(float), pairs.same)
    assert found["slope"] == pytest.approx(model.coef_[0, 0], rel=1e-2)
    assert found["intercept"] == pytest.approx(model.intercept_[0], rel=1e-2)


def test_calibrated_probabilities_come_true():
    chosen, tested = _pairs(3, 4000, 4000), _pairs(4, 4000, 4000)
    calibration = calibrate(chosen.genuine, chosen.impostor)
    logit = calibration["intercept"] + calibration["slope"] * tested.distance.astype(float)
    probability = 1 / (1 + np.exp(-logit))
    for low, high in ((0.1, 0.3), (0.3, 0.7), (0.7, 0.9)):
        chosen_bin = (probability >= low) & (probability < high)
        found = tested.same[chosen_bin].mean()
        assert found == pytest.approx(probability[chosen_bin].mean(), abs=0.1)


def test_pairs_that_a_threshold_parts_have_a_finite_slope():
    found = calibrate(np.full(10, 0.5), np.full(10, 1.5))
    assert -1e3 < found["slope"] < -1
    # Halfway between the two the answer is open.
    assert -found["intercept"] / found["slope"] == pytest.approx(1.0, abs=0.01)


def test_calibration_errors_of_a_calibration_that_says_nothing():
    nothing = {"intercept": 0.0, "slope": 0.0, "prior": 0.5}
    found = calibration_errors(nothing, np.ones(3), np.ones(5))
    assert found == pytest.approx({"log_loss": np.log(2), "brier": 0.25})


def test_calibration_errors_weigh_both_kinds_the_same():
    sure = {"intercept": 50.0, "slope": 0.0, "prior": 0.5}  # Everybody is genuine.
    found = calibration_errors(sure, np.ones(1), np.ones(999))
    assert found["brier"] == pytest.approx(0.5)
    assert found["log_loss"] == pytest.approx(25.0)


def test_people_are_those_of_the_templates():
    person = np.array([7, 7, 8])
    found = people_of(person, np.array([[0, 1], [1, 2]]), np.array([True, False]))
    assert found.tolist() == [[7, 7], [7, 8]]


def test_unknown_people_are_those_whom_genuine_pairs_connect():
    pair = np.array([[0, 1], [1, 2], [3, 4], [0, 5]])
    found = people_of(np.full(6, -1), pair, np.array([True, True, False, False]))
    one, three, four, five = found[0, 0], found[2, 0], found[2, 1], found[3, 1]
    assert found.tolist() == [[one, one], [one, one], [three, four], [one, five]]
    assert len({one, three, four, five}) == 4


def test_a_list_that_contradicts_itself_has_people_of_its_own_for_every_pair():
    pair, same = np.array([[0, 1], [1, 2], [0, 2]]), np.array([True, True, False])
    found = people_of(np.full(3, -1), pair, same)
    assert found.tolist() == [[0, 0], [2, 2], [4, 5]]
