"""Embedding a set, its baselines, scores, thresholds, plots and TensorBoard logs."""

import io
import random

import matplotlib
import numpy as np
import pytest
from PIL import Image

import facezoo
from facezoo import evaluation, metrics
from facezoo.data.dataset import image_dataset
from facezoo.data.examples import encode_example
from facezoo.data.pairs import all_pairs, count_pairs, identity_folds
from facezoo.data.records import RecordWriter
from facezoo.data.schema import FaceRecord

_NUM_PEOPLE, _NUM_IMAGES = 12, 6
_TITLE = "12 people"


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def noise_images(number, height=20, width=18):
    return np.random.default_rng(number).integers(0, 256, (number, height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    tiny = facezoo.backbones.MobileFaceNet.TINY
    return facezoo.create_model("mobilefacenet", embedding_dim=8, **tiny)


@pytest.fixture(scope="module")
def people():
    """Unit embeddings of people who can be told apart, with a few mistakes."""
    generator = np.random.default_rng(0)
    label = np.repeat(np.arange(_NUM_PEOPLE), _NUM_IMAGES)
    centers = generator.normal(size=(_NUM_PEOPLE, 16))
    features = centers[label] + 0.9 * generator.normal(size=(len(label), 16))
    return features / np.linalg.norm(features, axis=1, keepdims=True), label


@pytest.fixture(scope="module")
def scores(people):
    return evaluation.evaluate_embedding(*people)


def test_embed_batch_gives_unit_embeddings_that_do_not_depend_on_neighbours(model):
    image = model.preprocessing.standardize(noise_images(5, 16, 18))
    together = evaluation.embed_batch(model, image)
    alone = np.concatenate([evaluation.embed_batch(model, image[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_embed_dataset_keeps_the_order_and_equals_decoding_by_hand(model, tmp_path):
    encoded, path = [png(image) for image in noise_images(7)], tmp_path / "shard"
    with RecordWriter(path) as writer:
        for i, one in enumerate(encoded):
            record = FaceRecord(one, "png", 20, 18, f"{i}.png", f"p{i}", 10 - i, "noise")
            writer.write(encode_example(record))
    dataset = image_dataset([path], model.preprocessing, batch_size=3)
    embedding, label = evaluation.embed_dataset(model, dataset)
    assert label.tolist() == [10, 9, 8, 7, 6, 5, 4]
    image = evaluation.decode_batch(encoded, model.preprocessing)
    assert image.shape == (7, 16, 18, 3)
    by_hand = evaluation.embed_batch(model, model.preprocessing.standardize(image))
    np.testing.assert_allclose(embedding, by_hand, atol=1e-5)


def test_distance_of_pixel_embeddings_is_two_less_twice_the_correlation():
    image = noise_images(2).astype(np.float32)
    embedding = evaluation.pixel_embedding(image)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1.0, atol=1e-6)
    _, distance = all_pairs(embedding, np.array([0, 1]))
    correlation = np.corrcoef(image.reshape(2, -1))[0, 1]
    assert distance[0] == pytest.approx(2 - 2 * correlation, abs=1e-5)


def test_pixel_embedding_ignores_brightness_and_contrast():
    image = noise_images(1).astype(np.float32)
    embedding = evaluation.pixel_embedding(np.concatenate([image, 40 + image / 2]))
    np.testing.assert_allclose(embedding[0], embedding[1], atol=1e-6)


def test_pixel_embedding_of_one_colour_is_zero_and_of_large_images_is_small():
    assert not evaluation.pixel_embedding(np.full((1, 20, 18, 3), 99.0)).any()
    assert evaluation.pixel_embedding(np.zeros((1, 20, 18, 3))).shape == (1, 20 * 18 * 3)
    assert evaluation.pixel_embedding(np.zeros((1, 200, 180, 3))).shape == (1, 32 * 32 * 3)


def test_untrained_model_is_the_same_architecture_with_weights_from_the_seed(model):
    before = [weight.copy() for weight in model.get_weights()]
    random.seed(5)
    expected = random.random()
    random.seed(5)
    first, again, other = (evaluation.untrained_model(model, seed) for seed in (1, 1, 2))
    assert random.random() == expected, "the caller's random numbers were disturbed"
    assert first.get_config() == model.get_config()
    image = model.preprocessing.standardize(noise_images(4, 16, 18))
    embeddings = [evaluation.embed_batch(one, image) for one in (first, again, other, model)]
    np.testing.assert_array_equal(embeddings[0], embeddings[1])
    assert not np.allclose(embeddings[0], embeddings[2], atol=1e-3)
    assert not np.allclose(embeddings[0], embeddings[3], atol=1e-3)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_scores_equal_the_metrics_of_all_pairs(people, scores):
    pairs = all_pairs(*people)
    assert scores["auc"] == metrics.auc(*pairs) > 0.9
    assert scores["eer"] == metrics.eer(*pairs)[0]
    assert scores["val_at_far_1e-2"] == metrics.val_at_far(*pairs, 1e-2).val
    counts = count_pairs(people[1])
    assert {key: scores[key] for key in counts} == counts
    assert counts["num_genuine"] == _NUM_PEOPLE * 15


def test_a_far_that_the_pairs_do_not_support_has_no_val(scores):
    assert scores["num_impostor"] < 10_000
    assert scores["val_at_far_1e-3"] is None


def test_intervals_hold_the_scores_and_are_wider_than_pairs_alone_would_make_them(scores):
    for name in ("auc", "eer"):
        low, high = scores[f"{name}_interval"]
        assert low < scores[name] < high
    for point in scores["operating_points"]:
        low, high = point["val_interval"]
        num_genuine = scores["num_genuine"]
        alone = metrics.wilson_interval(round(point["val"] * num_genuine), num_genuine)
        assert low <= alone[0] <= alone[1] <= high


def test_two_people_are_too_few_to_be_drawn_anew():
    found = evaluation.evaluate_embedding(np.eye(4), np.array([0, 0, 1, 1]))
    assert found["auc_interval"] is None
    assert found["operating_points"][0]["far_interval"][1] > 0.4


def test_operating_points_do_what_they_say_and_stay_within_their_target(people, scores):
    genuine, impostor = all_pairs(*people)
    points = {point["name"]: point for point in scores["operating_points"]}
    assert list(points) == ["accuracy", "eer", "far_1e-2"]
    for point in points.values():
        found = metrics.operating_point(genuine, impostor, point["threshold"])
        assert (found.val, found.far) == (point["val"], point["far"])
        for rate in ("val", "far"):
            low, high = point[f"{rate}_interval"]
            assert low - 1e-12 <= point[rate] <= high + 1e-12
    assert points["far_1e-2"]["far"] <= 1e-2


def test_shuffled_labels_give_chance(people):
    embedding, label = people
    shuffled = np.random.default_rng(3).permutation(label)
    found = evaluation.evaluate_embedding(embedding, shuffled)
    assert 0.4 < found["auc"] < 0.6
    assert 0.4 < found["eer"] < 0.6
    assert 0.3 < found["accuracy"] < 0.7


def test_perfect_embeddings_give_perfect_scores(people):
    _, label = people
    found = evaluation.evaluate_embedding(np.eye(_NUM_PEOPLE)[label], label)
    assert (found["auc"], found["eer"], found["accuracy"]) == (1.0, 0.0, 1.0)
    assert (found["accuracy_standard_error"], found["num_folds"]) == (0.0, 5)
    assert found["val_at_far_1e-2"] == 1.0


def test_the_threshold_of_a_fold_comes_from_other_people():
    # Two folds whose distances differ in scale: each alone could be told apart without a mistake,
    # but the other's threshold accepts all of the first fold and none of the second.
    label = np.repeat([0, 1, 2, 3], 2)
    embedding = np.array([0.0, 0.01, 100, 101, 0.1, 0.11, 110, 111])[:, None]
    found = evaluation.evaluate_embedding(embedding, label, num_folds=2)
    assert (found["accuracy"], found["num_folds"]) == (0.5, 2)


def test_accuracy_is_none_where_no_threshold_can_come_from_other_people():
    label = np.repeat([0, 1, 2], 3)
    found = evaluation.evaluate_embedding(np.eye(3)[label], label)
    assert (found["accuracy"], found["num_folds"], found["auc"]) == (None, 0, 1.0)


def test_bad_arguments_raise(people):
    embedding, label = people
    with pytest.raises(ValueError, match="no impostor pair"):
        evaluation.evaluate_embedding(embedding, np.zeros_like(label))
    with pytest.raises(ValueError, match="no genuine pair"):
        evaluation.evaluate_embedding(embedding, np.arange(len(label)))
    with pytest.raises(ValueError, match="finite"):
        evaluation.evaluate_embedding(np.full_like(embedding, np.nan), label)
    with pytest.raises(ValueError, match="num_folds must be at least 2"):
        evaluation.evaluate_embedding(embedding, label, num_folds=1)


def test_thresholds_of_one_half_of_the_people_are_tested_on_the_other(people):
    bound_to = {"model": "aaaa", "preprocessing": "bbbb"}
    embedding, label = people
    table = evaluation.table_of_halves(embedding, label, bound_to, "made up")
    assert table == table | bound_to
    half = identity_folds(label, 2)
    chosen, tested = (all_pairs(embedding[half == n], label[half == n]) for n in (0, 1))
    point = table["operating_points"][0]
    assert point["threshold"] == metrics.best_threshold(*chosen)
    assert point["val"] == np.mean(tested[0] <= point["threshold"])
    assert point["far"] == np.mean(tested[1] <= point["threshold"])
    assert table["chosen_on"].startswith(f"{len(chosen[0])} genuine and {len(chosen[1])} impostor")
    assert table["tested_on"].endswith("6 people: made up")


def test_people_who_make_no_two_halves_choose_without_a_test():
    embedding, label = np.eye(4), np.array([0, 0, 1, 2])
    table = evaluation.table_of_halves(embedding, label, {"model": "", "preprocessing": ""}, "few")
    assert table["tested_on"] is None
    assert table["operating_points"][0]["val"] is None


@pytest.fixture(scope="module")
def pictures(people, scores):
    curves = {"trained model": metrics.roc_curve(*all_pairs(*people))}
    return {
        "roc": evaluation.plot_roc(curves, {"trained model": scores}, _TITLE),
        "distances": evaluation.plot_distances(*all_pairs(*people), scores, _TITLE),
    }


@pytest.mark.parametrize("name", ["roc", "distances"])
def test_plots_are_pictures_without_a_date_or_a_version(pictures, name):
    picture = Image.open(io.BytesIO(pictures[name]))
    assert picture.size == (960, 600)
    assert set(picture.info) <= {"dpi"}
    assert len(np.unique(np.asarray(picture.convert("L")))) > 50


def test_plots_depend_on_the_data_and_not_on_the_user_s_settings(people, scores, pictures):
    embedding, label = people
    pairs = all_pairs(embedding, label)
    with matplotlib.rc_context({"font.size": 30.0}):
        assert evaluation.plot_distances(*pairs, scores, _TITLE) == pictures["distances"]
    assert (
        evaluation.plot_distances(pairs[0], pairs[1] / 2, scores, _TITLE) != pictures["distances"]
    )
    curve = metrics.roc_curve(pairs[0], pairs[1] / 2)
    roc = evaluation.plot_roc({"trained model": curve}, {"trained model": scores}, _TITLE)
    assert roc != pictures["roc"]
