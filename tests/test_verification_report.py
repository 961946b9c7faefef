"""The numbers of one system: their rules, their intervals, slices, robustness; views and order."""

import json

import numpy as np
import pytest

from facezoo import metrics
from facezoo.data.images import encode_png
from facezoo.data.test_time import TestTime
from facezoo.evaluation.benchmark import Benchmark, check_disjoint
from facezoo.evaluation.intervals import resample
from facezoo.evaluation.perturbations import Sweep
from facezoo.evaluation.picture_slices import picture_slices
from facezoo.evaluation.robustness import robustness_tables, truncate
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.evaluation.system import System, baseline_system, embed_pictures
from facezoo.evaluation.verification_report import ReportOptions, report_system, score_slices
from facezoo.protocols import Protocol

_OPTIONS = ReportOptions(far_targets=(0.1, 1e-3), num_resamples=50)
_NUM_FOLDS, _PER_FOLD = 4, 60


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    num_pairs = _NUM_FOLDS * _PER_FOLD
    same = np.arange(num_pairs) % 2 == 0
    distance = np.where(same, 0.8, 1.4) + rng.normal(0, 0.25, num_pairs)
    first = rng.integers(0, 40, num_pairs)
    second = np.where(same, first, first + 40)
    return ScoredPairs(distance.astype(np.float32), same, np.stack([first, second], axis=1))


@pytest.fixture(scope="module")
def fold():
    return np.repeat(np.arange(_NUM_FOLDS), _PER_FOLD).astype(np.int32)


def test_accuracy_by_folds_takes_each_fold_s_threshold_from_the_others(pairs, fold):
    found = report_system(pairs, fold, options=_OPTIONS)
    by_hand = []
    for number in range(_NUM_FOLDS):
        other, own = fold != number, fold == number
        distance, same = pairs.distance, pairs.same
        threshold = metrics.best_threshold(distance[other & same], distance[other & ~same])
        by_hand.append(np.mean((distance[own] <= threshold) == same[own]))
    assert found["accuracy"] == pytest.approx(np.mean(by_hand))
    error = np.std(by_hand, ddof=1) / _NUM_FOLDS**0.5
    assert found["accuracy_standard_error"] == pytest.approx(error)
    assert found["accuracy_rule"] == "mean over 4 folds, each with the threshold of the other 3"
    assert found["accuracy_threshold"] is None
    assert found["accuracy_interval"][0] < found["accuracy"] < found["accuracy_interval"][1]


def test_accuracy_takes_the_threshold_of_other_pairs_where_they_are_given(pairs):
    other = ScoredPairs(pairs.distance + 0.3, pairs.same, pairs.person)
    found = report_system(pairs, chosen_on=(other, "other pairs"), options=_OPTIONS)
    threshold = metrics.best_threshold(other.genuine, other.impostor)
    assert found["accuracy_threshold"] == threshold
    assert found["accuracy"] == metrics.accuracy(pairs.genuine, pairs.impostor, threshold)
    best = metrics.best_threshold(pairs.genuine, pairs.impostor)
    assert found["accuracy"] < metrics.accuracy(pairs.genuine, pairs.impostor, best)
    assert found["accuracy_rule"] == "threshold chosen on other pairs"


def test_there_is_no_accuracy_at_a_threshold_chosen_on_the_same_pairs(pairs):
    found = report_system(pairs, options=_OPTIONS)
    assert found["accuracy"] is found["accuracy_interval"] is None
    assert found["accuracy_rule"].startswith("no accuracy")


def test_val_is_refused_where_the_pairs_are_too_few_and_given_where_told(pairs):
    found = {one["target"]: one for one in report_system(pairs, options=_OPTIONS)["val_at_far"]}
    assert found[0.1]["far"] <= 0.1
    assert found[0.1]["val_interval"][0] <= found[0.1]["val"] <= found[0.1]["val_interval"][1]
    assert "val" not in found[1e-3] and "too few" in found[1e-3]["refused"]
    told = ReportOptions((1e-3,), allow_few=True, num_resamples=50)
    (point,) = report_system(pairs, options=told)["val_at_far"]
    assert point["far"] == 0.0


def test_every_pair_of_a_slice_keeps_its_own_threshold(pairs):
    is_late = np.arange(len(pairs.same)) >= 100
    slices = {"hat": np.where(is_late, "late", "early")}
    early, late = score_slices(pairs, slices, np.where(is_late, 4.0, 0.0), _OPTIONS)
    assert (early["val"], early["far"], late["val"], late["far"]) == (0.0, 0.0, 1.0, 1.0)
    assert early["val_interval"] == (0.0, 0.0) and late["far_interval"] == (1.0, 1.0)


def test_slices_add_up_and_are_scored_by_themselves(pairs, fold):
    slices = {"hat": np.where(np.arange(len(fold)) < 100, "hat", "no hat")}
    found = report_system(pairs, fold, slices=slices, options=_OPTIONS)
    hat, no_hat = found["slices"]
    assert (hat["slice"], hat["value"], no_hat["value"]) == ("hat", "hat", "no hat")
    assert hat["num_genuine"] + no_hat["num_genuine"] == pairs.same.sum()
    part = pairs.same[:100]
    assert hat["auc"] == metrics.auc(pairs.distance[:100][part], pairs.distance[:100][~part])
    total = sum(one["val"] * one["num_genuine"] for one in (hat, no_hat))
    for one in (hat, no_hat):
        for score in ("auc", "val", "far"):
            low, high = one[f"{score}_interval"]
            assert low <= one[score] <= high and low < high
    # With folds of equal size, VAL at each fold's own threshold adds up to that of all.
    by_fold = metrics.fold_accuracy(pairs.distance, pairs.same, fold)
    assert total / pairs.same.sum() == pytest.approx(by_fold.val.mean())


def test_a_slice_of_one_kind_has_no_auc(pairs):
    slices = {"kind": np.where(pairs.same, "genuine", "impostor")}
    one, other = report_system(pairs, slices=slices, options=_OPTIONS)["slices"]
    assert one["auc"] is other["auc"] is None
    assert (one["num_impostor"], other["num_genuine"]) == (0, 0)


def test_a_perfect_system_can_be_written_as_json():
    same = np.array([True, True, False, False])
    person = np.array([[0, 0], [1, 1], [0, 1], [1, 2]])
    pairs = ScoredPairs(np.where(same, 0.0, 2.0).astype(np.float32), same, person)
    found = report_system(pairs, options=_OPTIONS)
    assert (found["auc"], found["fisher_ratio"]) == (1.0, None)
    json.dumps(found, allow_nan=False)


def test_two_people_have_no_interval():
    person = np.array([[0, 0], [0, 1]])
    pairs = ScoredPairs(np.array([0.1, 0.9], np.float32), np.array([True, False]), person)
    found = resample(pairs, (0.5,), 0.5)
    assert found == {
        **dict.fromkeys([f"{one}_interval" for one in ("auc", "eer", "accuracy", "val", "far")]),
        "val_at_far_intervals": {0.5: None},
    }


@pytest.mark.parametrize(
    "arguments", [{"far_targets": (0.0,)}, {"num_resamples": 0}, {"confidence": 1.0}]
)
def test_impossible_options_are_refused(arguments):
    with pytest.raises(ValueError, match="Received"):
        ReportOptions(**arguments)


def _protocol(num_images, name="made up", folder="a"):
    """Image 0 with 1, 2 with 3 ..; then 1 with 2, 3 with 4 .."""
    index = np.arange(num_images)
    genuine = np.stack([index[::2], index[1::2]], axis=1)
    impostor = np.stack([index[1:-1:2], index[2::2]], axis=1)
    pair = np.concatenate([genuine, impostor])
    same = np.repeat([True, False], [len(genuine), len(impostor)])
    images = tuple(f"{folder}{number // 2}/{number}.png" for number in index)
    return Protocol(name, images, index, index, index, pair, same, index // 2)


class _Pictures:
    """Grey pictures whose level is the number in their name."""

    def check(self, names):
        self.checked = tuple(names)

    def read(self, name):
        number = int(name.split("/")[1].removesuffix(".png"))
        level = np.uint8(20 * (number // 2) + number % 2)
        return encode_png(np.full((8, 8, 3), level))


def _mean_system(calls=None):
    """Embeds a picture as a direction in the plane that turns with its mean level."""

    def embed(views):
        if calls is not None:
            calls.append([view.shape for view in views])
        angle = np.array([view.mean() for view in views]) / 255.0 * np.pi
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    return System("mean level", embed)


def test_a_benchmark_embeds_every_image_once_in_order_by_batches():
    calls = []
    images = _Pictures()
    benchmark = Benchmark(_protocol(10), images, TestTime(), batch_size=4)
    assert images.checked == benchmark.protocol.image
    embedding = benchmark.embed(_mean_system(calls))
    assert [len(call) for call in calls] == [4, 4, 2]
    angle = np.arctan2(embedding[:, 1], embedding[:, 0])
    assert (np.diff(angle) > 0).all()
    scored = benchmark.score(embedding)
    assert metrics.auc(scored.genuine, scored.impostor) == 1.0
    assert scored.person.tolist()[0] == [0, 0]


def test_the_crop_is_applied_before_the_system_sees_a_picture():
    calls = []
    Benchmark(_protocol(4), _Pictures(), TestTime(crop=0.5)).embed(_mean_system(calls))
    assert calls == [[(4, 4, 3)] * 4]


def test_a_pair_is_shown_by_names_and_bytes():
    benchmark = Benchmark(_protocol(10), _Pictures())
    (one, first), (other, second) = benchmark.pictures(5)
    assert (one, other) == ("a0/1.png", "a1/2.png")
    assert first == _Pictures().read(one) and second == _Pictures().read(other)


def test_embeddings_that_are_no_numbers_are_refused():
    system = System("broken", lambda views: np.full((len(views), 2), np.nan, np.float32))
    with pytest.raises(ValueError, match="broken are not finite"):
        embed_pictures(system, iter([np.zeros((2, 2, 3), np.uint8)]), 1, TestTime())


def test_thresholds_are_not_chosen_on_tested_people():
    tested = _protocol(10, "tested")
    with pytest.raises(ValueError, match="share 10 images, such as a0/0.png"):
        check_disjoint(_protocol(10, "chosen"), tested)
    same_people = _protocol(10, "chosen", folder="a")
    renamed = Protocol(
        **{**vars(same_people), "image": tuple(f"{one}.new" for one in same_people.image)}
    )
    with pytest.raises(ValueError, match="share 5 folders"):
        check_disjoint(renamed, tested)
    check_disjoint(_protocol(10, "chosen", folder="b"), tested)


def test_pictures_are_sorted_into_thirds_by_the_worse_of_a_pair():
    protocol = _protocol(12)
    # The darker of two neighbours is the even one, and they grow brighter while the odd ones fade.
    levels = [10 * number if number % 2 == 0 else 250 - 5 * number for number in range(12)]
    pictures = [np.full((8, 8, 3), level, np.uint8) for level in levels]
    slices = picture_slices(protocol, pictures, TestTime())
    darker = slices["brightness of the darker"]
    level = np.array(levels)[protocol.pair].min(axis=1)
    assert set(darker[level <= 20]) == {"lowest third"}
    assert set(darker[level >= 80]) == {"top third"}
    assert len(slices) == 3 and all(len(one) == protocol.num_pairs for one in slices.values())


@pytest.mark.parametrize("key", ["pixels", "hog", "lbp"])
def test_baselines_take_pictures_of_any_size(key):
    rng = np.random.default_rng(1)
    views = [rng.integers(0, 256, (side, 30, 3), np.uint8) for side in (20, 90)]
    embedding = baseline_system(key).embed(views)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("key", ["pixels", "hog", "lbp"])
def test_baselines_find_pictures_of_one_colour_alike(key):
    views = [np.full((20, 20, 3), level, np.uint8) for level in (30, 200)]
    one, other = baseline_system(key).embed(views)
    assert np.linalg.norm(one) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_robustness_spoils_every_picture_and_keeps_the_threshold():
    darken = Sweep("Darkness", "levels", (0, 60), lambda view, by: view - np.minimum(view, by))
    benchmark = Benchmark(_protocol(20), _Pictures())
    system = _mean_system()
    tables = robustness_tables(
        system, benchmark.embed, benchmark.score, 0.01, _OPTIONS, sweeps=(darken,)
    )
    assert [table["name"] for table in tables] == ["Darkness", "Embedding size"]
    untouched, dark, clean = tables[0]["rows"]
    assert (untouched["value"], dark["value"], clean["value"]) == (0, 60, None)
    assert untouched["auc"] == clean["auc"] == 1.0
    assert dark["auc"] < 1.0, "the darkest pictures look alike"
    assert dark["accuracy"] < clean["accuracy"] == 1.0


def test_truncated_embeddings_are_of_unit_length():
    embedding = np.array([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]], np.float32)
    np.testing.assert_allclose(truncate(embedding, 2), [[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match="first 1 numbers"):
        truncate(embedding, 1)
