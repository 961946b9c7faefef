"""Thresholds that travel with a model: what they are bound to, how one is picked, probability."""

import copy
import doctest
import math

import pytest

from facezoo import thresholds

TABLE = {
    "format": 2,
    "distance": "squared_l2",
    "model": "aaaa",
    "preprocessing": "bbbb",
    "chosen_on": "half of the people",
    "tested_on": "the other half",
    "default": "accuracy",
    "operating_points": [
        {"name": "accuracy", "threshold": 1.1},
        {"name": "far_1e-2", "threshold": 0.9},
        {"name": "far_2e-3", "threshold": 0.7},
    ],
    "calibration": {"intercept": 10.0, "slope": -10.0, "prior": 0.5},
}


def test_a_table_is_for_the_model_it_was_measured_with():
    thresholds.check_bound(TABLE, "aaaa", "bbbb")


@pytest.mark.parametrize(
    "what, change",
    [("model", "cccc"), ("preprocessing", "cccc"), ("distance", "cosine")],
)
def test_a_table_measured_with_anything_else_is_refused(what, change):
    with pytest.raises(ValueError, match=f"another {what} .* Received: {change}.*measure again"):
        thresholds.check_bound({**TABLE, what: change}, "aaaa", "bbbb")


def test_unknown_preprocessing_is_another_one():
    with pytest.raises(ValueError, match="another preprocessing .* Expected: None"):
        thresholds.check_bound(TABLE, "aaaa", None)


def test_a_table_of_the_old_format_is_refused():
    old = copy.deepcopy(TABLE)
    del old["format"], old["model"]
    with pytest.raises(ValueError, match="format 1. Expected: format 2.*measure again"):
        thresholds.check_bound(old, "aaaa", "bbbb")


@pytest.mark.parametrize(
    "far, name, value",
    [(None, "accuracy", 1.1), (1e-2, "far_1e-2", 0.9), (0.002, "far_2e-3", 0.7)],
)
def test_an_operating_point_is_picked_by_its_far(far, name, value):
    expected = thresholds.Threshold(value, name, "half of the people")
    assert thresholds.stored(TABLE, far) == expected


@pytest.mark.parametrize("far", [1e-3, 0.011, 0.0])
def test_an_unknown_far_lists_the_known_ones(far):
    with pytest.raises(ValueError, match="Stored: --far=1e-2, --far=2e-3"):
        thresholds.stored(TABLE, far)


@pytest.mark.parametrize("value", [-0.1, 4.1, math.nan])
def test_a_given_threshold_must_be_a_distance(value):
    with pytest.raises(ValueError, match=r"in \[0, 4\]"):
        thresholds.given(value)


@pytest.mark.parametrize(
    "target, name", [(0.1, "far_1e-1"), (1e-6, "far_1e-6"), (0.025, "far_2.5e-2")]
)
def test_a_far_has_one_name(target, name):
    assert thresholds.far_name(target) == name


def test_probability_is_one_half_where_the_logit_is_zero():
    assert thresholds.probability(TABLE, 1.0) == 0.5


def test_probability_falls_with_distance_and_stays_within_its_bounds():
    found = [thresholds.probability(TABLE, distance / 10) for distance in range(41)]
    assert sorted(found, reverse=True) == found
    assert 0.0 < found[-1] < found[0] < 1.0


def test_probability_of_a_distant_pair_does_not_overflow():
    steep = {**TABLE, "calibration": {"intercept": 0.0, "slope": -1e4, "prior": 0.5}}
    assert thresholds.probability(steep, 4.0) == 0.0


def test_probability_at_another_prior_follows_bayes():
    # Odds of 1:1 at this distance, times prior odds of 1:9.
    assert thresholds.probability(TABLE, 1.0, prior=0.1) == pytest.approx(0.1)
    odds = math.exp(5.0) * (0.01 / 0.99)
    assert thresholds.probability(TABLE, 0.5, prior=0.01) == pytest.approx(odds / (1 + odds))


@pytest.mark.parametrize("prior", [0.0, 1.0, -1.0, math.nan])
def test_probability_refuses_a_certain_prior(prior):
    with pytest.raises(ValueError, match="between 0 and 1"):
        thresholds.probability(TABLE, 1.0, prior)


def test_there_is_no_probability_without_a_calibration():
    assert thresholds.probability({**TABLE, "calibration": None}, 1.0) is None


def test_examples():
    assert doctest.testmod(thresholds).failed == 0
