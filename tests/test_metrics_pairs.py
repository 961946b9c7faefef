"""Scores of labelled pairs: by folds, and with intervals that draw people anew."""

import doctest

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from facezoo import metrics
from facezoo.metrics import bootstrap, folds
from tests.oracles import verification as oracle


def dealt_pairs(seed, num_folds=4, num_each=12):
    """Tied distances, as many of each kind in each fold."""
    random = np.random.default_rng(seed)
    fold = np.repeat(np.arange(num_folds), 2 * num_each)
    same = np.tile(np.repeat([True, False], num_each), num_folds)
    return random.integers(0, 9, len(fold)) / 8 + np.where(same, 0.0, 0.5), same, fold


def people_pairs(seed, num_people=8, num_pairs=90):
    """Tied distances of pairs of people, of both kinds."""
    random = np.random.default_rng(seed)
    person = random.integers(0, num_people, (num_pairs, 2))
    person[: num_pairs // 3, 1] = person[: num_pairs // 3, 0]
    person[-1] = 0, 1
    same = person[:, 0] == person[:, 1]
    return random.integers(0, 40, num_pairs) / 32 + np.where(same, 0.0, 0.375), same, person


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_scored_at_the_threshold_of_the_others(seed):
    distance, same, fold = dealt_pairs(seed)
    cases = (
        (metrics.fold_accuracy(distance, same, fold), metrics.best_threshold),
        (
            metrics.fold_val_at_far(distance, same, fold, 0.3),
            lambda *kinds: metrics.val_at_far(*kinds, 0.3).threshold,
        ),
    )
    for scores, choose in cases:
        expected = oracle.fold_scores(distance.tolist(), same.tolist(), fold.tolist(), choose)
        found = np.stack([scores.threshold, scores.val, scores.far], axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_fold_accuracy_is_the_plain_share_where_kinds_are_as_many():
    distance, same, fold = dealt_pairs(0)
    scores = metrics.fold_accuracy(distance, same, fold)
    accepted = distance <= scores.threshold[fold]
    plain = [accuracy_score(same[fold == k], accepted[fold == k]) for k in range(4)]
    np.testing.assert_allclose(scores.accuracies, plain, atol=1e-12)
    assert scores.accuracy == pytest.approx(np.mean(plain))
    assert scores.standard_error == pytest.approx(np.std(plain, ddof=1) / 2)


def test_a_fold_does_not_choose_its_own_threshold():
    """The pairs of fold 0 lie elsewhere than all others: only a leak would get them right."""
    fold = np.repeat([0, 1, 2], 4)
    same = np.tile([True, True, False, False], 3)
    distance = np.where(same, 0.1, 0.3) + np.where(fold == 0, 1.0, 0.0)
    scores = metrics.fold_accuracy(distance, same, fold)
    assert scores.threshold[0] == pytest.approx(0.2)
    assert (scores.val[0], scores.far[0]) == (0.0, 0.0)


def test_fold_val_at_far_keeps_to_the_target_on_the_other_folds():
    distance, same, fold = dealt_pairs(1)
    for target in (0.3, 0.5, 0.9):
        scores = metrics.fold_val_at_far(distance, same, fold, target)
        for number, threshold in enumerate(scores.threshold):
            assert np.mean(distance[(fold != number) & ~same] <= threshold) <= target


def test_fold_val_at_far_refuses_what_the_other_folds_do_not_support():
    distance, same, fold = dealt_pairs(0)
    with pytest.raises(ValueError, match="takes 40 impostor pairs.*Received: 36"):
        metrics.fold_val_at_far(distance, same, fold, 0.25)
    assert metrics.fold_val_at_far(distance, same, fold, 0.25, allow_few=True).far.max() <= 1.0


@pytest.mark.parametrize(
    "fold, message",
    [
        ([0, 0, 0, 0], "two folds or more"),
        ([-1, 0, 0, 1], "Received: numbers from -1 to 1"),
        ([0, 0, 2, 2], "No genuine pair in fold 1"),
        ([0, 1, 1, 1], "No impostor pair in fold 0"),
        ([0, 1], r"shape \(4,\)"),
        ([0.0, 0.0, 1.0, 1.0], "integers"),
    ],
)
def test_folds_that_do_not_fit_raise(fold, message):
    with pytest.raises(ValueError, match=message):
        metrics.fold_accuracy([0.1, 0.2, 0.3, 0.4], [True, True, False, False], fold)


@pytest.mark.parametrize(
    "distance, same, message",
    [
        ([0.1, 0.2], [True], "one entry per pair"),
        ([[0.1], [0.2]], [[True], [False]], "one-dimensional"),
        ([0.1, 0.2], [True, True], "no impostor pair"),
        ([0.1, np.nan], [True, False], "finite"),
        ([0.1, 0.2], [2, 0], "true or false"),
        ([0.1, 0.2], ["yes", "no"], "true or false"),
    ],
)
def test_pairs_that_do_not_fit_raise(distance, same, message):
    with pytest.raises(ValueError, match=message):
        metrics.fold_accuracy(distance, same, np.zeros(len(distance), int))


@pytest.mark.parametrize("value", [[], [1.0], [[1.0, 2.0]]])
def test_a_standard_error_takes_two_values(value):
    with pytest.raises(ValueError, match="two values or more"):
        metrics.mean_and_error(value)


@pytest.mark.parametrize("seed", range(6))
def test_weights_of_a_resample_equal_its_pairs_written_out(monkeypatch, seed):
    """One resample, so that its scores are both ends of each interval."""
    distance, same, person = people_pairs(seed)
    draws = np.random.default_rng(seed).integers(0, 8, 8)
    drawn = lambda pairs, *_: iter([resample(pairs, draws)] * 2)  # noqa: E731
    monkeypatch.setattr(bootstrap._SortedPairs, "resamples", drawn)
    targets = (0.0, 0.1, 0.29, 0.5, 1.0)
    found = metrics.bootstrap_verification(distance, same, person, targets, 0.7, num_resamples=2)
    kinds = oracle.repeated_pairs(distance.tolist(), person.tolist(), draws.tolist())
    point = metrics.operating_point(*kinds, 0.7)
    expected = {
        "auc_interval": oracle.auc(*kinds),
        "eer_interval": oracle.eer(*kinds),
        "accuracy_interval": metrics.accuracy(*kinds, 0.7),
        "val_interval": point.val,
        "far_interval": point.far,
    }
    at_far = found.pop("val_at_far_intervals")
    assert found.keys() == expected.keys()
    for name, (low, high) in found.items():
        assert low == high == pytest.approx(expected[name], abs=1e-12), name
    for target in targets:
        assert at_far[target] == pytest.approx((oracle.val_at_far(*kinds, target),) * 2)


def resample(pairs, draws):
    times = np.bincount(draws, minlength=8).astype(float)
    (genuine, _), (one, other) = pairs._person
    return times[genuine], times[one] * times[other]


def test_resamples_draw_every_person_as_often_as_any():
    distance, same, person = people_pairs(0)
    pairs = bootstrap._SortedPairs(distance, same, person)
    weights = list(pairs.resamples(400, np.random.default_rng(0)))
    assert len(weights) == 400
    genuine, impostor = (np.mean(kind, axis=0) for kind in zip(*weights, strict=True))
    assert genuine.mean() == pytest.approx(1.0, abs=0.1)
    # Two of eight people in eight draws: 8 * 7 / 8^2.
    assert impostor.mean() == pytest.approx(7 / 8, abs=0.1)


def test_a_resample_of_one_kind_is_drawn_again():
    """Of three people, each draw without person 0 has no genuine pair."""
    person = np.array([[0, 0], [0, 1], [1, 2]])
    pairs = bootstrap._SortedPairs(np.array([0.1, 0.2, 0.3]), person[:, 0] == person[:, 1], person)
    for genuine, impostor in pairs.resamples(50, np.random.default_rng(0)):
        assert genuine.any() and impostor.any()


def test_each_pair_may_have_its_own_threshold():
    distance, same, person = people_pairs(1)
    own = np.where(np.arange(len(distance)) % 2, 9.0, -9.0)
    found = metrics.bootstrap_verification(distance, same, person, threshold=own)
    low, high = found["val_interval"]
    assert low < np.mean(own[same] > 0) < high
    one, other = (
        metrics.bootstrap_verification(distance, same, person, threshold=threshold)
        for threshold in (0.7, np.full(len(distance), 0.7))
    )
    assert one == other


def test_intervals_are_repeatable_and_widen_with_confidence():
    distance, same, person = people_pairs(2)
    narrow, again, wide = (
        metrics.bootstrap_verification(distance, same, person, confidence=confidence)
        for confidence in (0.8, 0.8, 0.99)
    )
    assert narrow == again
    assert wide["auc_interval"][0] < narrow["auc_interval"][0]
    assert wide["auc_interval"][1] > narrow["auc_interval"][1]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"person": [[0, 0], [0, -1], [1, 2]]}, "1 of 3 pairs with a person below 0"),
        ({"person": [[0, 1], [0, 1], [1, 2]]}, "contradicts person in 1 of 3"),
        ({"person": [[0, 0], [0, 1], [1, 0]]}, "3 people or more.*Received: 2"),
        ({"person": [0, 1, 2]}, r"shape \(3, 2\)"),
        ({"targets": (1.5,)}, "target must be a FAR"),
        ({"num_resamples": 1}, "num_resamples must be 2 or more"),
        ({"confidence": 1.0}, "confidence between 0 and 1"),
        ({"threshold": [0.1, 0.2]}, r"one for each of 3 pairs.*\(2,\)"),
        ({"threshold": np.nan}, "1 NaN"),
    ],
)
def test_resamples_of_what_does_not_fit_raise(change, message):
    given = {
        "distance": [0.1, 0.2, 0.3],
        "same": [True, False, False],
        "person": [[0, 0], [0, 1], [1, 2]],
    }
    with pytest.raises(ValueError, match=message):
        metrics.bootstrap_verification(**{**given, **change})


def test_intervals_cover_the_truth_where_people_differ():
    """Each person is easy or hard as a whole; Wilson's interval takes pairs as independent."""
    random, covered = np.random.default_rng(0), {"people": 0, "pairs": 0}
    one, other = np.triu_indices(40, 1)
    person = np.concatenate([np.repeat(np.arange(40), 6)[:, None].repeat(2, 1), np.c_[one, other]])
    same = person[:, 0] == person[:, 1]
    for _ in range(120):
        effect = random.normal(0, 0.3, 40)
        # VAL is 1/2 at 0: as many people are easy as are hard.
        distance = np.where(same, 0.0, 1.0) + effect[person].mean(axis=1)
        distance += random.normal(0, 0.2, len(distance))
        found = metrics.bootstrap_verification(
            distance, same, person, threshold=0.0, num_resamples=200
        )
        low, high = found["val_interval"]
        covered["people"] += low <= 0.5 <= high
        low, high = metrics.wilson_interval(int((distance[same] <= 0).sum()), int(same.sum()))
        covered["pairs"] += low <= 0.5 <= high
    # 95 % of 120 are 114, to within three standard errors; Wilson's 95 % cover three in four.
    assert covered["people"] >= 106
    assert covered["pairs"] <= 100


@pytest.mark.parametrize("module", [folds])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
