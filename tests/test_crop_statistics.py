"""What is typical of crops: what is found of other pictures, small data, and the preset."""

import json
import types

import numpy as np
import pytest
from PIL import Image

from facezoo import presets
from facezoo.data.augment import Augmentation
from facezoo.data.batches import TrainingBatches
from facezoo.data.concat_batches import ConcatBatches
from facezoo.data.crop_features import NUM_FEATURES, crop_features, spoil
from facezoo.data.crop_statistics import CropStatistics, fit_crop_statistics
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.synthetic import SyntheticFaces
from facezoo.training import crops
from facezoo.training.crops import describe_crops
from tests.hues import write_examples

NUM_PEOPLE, NUM_OTHERS, IMAGES_PER_PERSON = 42, 20, 5


@pytest.fixture(scope="module")
def drawn():
    """Drawn faces and whose they are."""
    people = NUM_PEOPLE + NUM_OTHERS
    faces = SyntheticFaces(people, IMAGES_PER_PERSON, height=40, width=40)
    label = np.repeat(np.arange(people), IMAGES_PER_PERSON).tolist()
    images = [faces.image(one, row % IMAGES_PER_PERSON) for row, one in enumerate(label)]
    return images, label


@pytest.fixture(scope="module")
def learned(drawn):
    """What is learned from: `(images, label)`."""
    return tuple(column[: NUM_PEOPLE * IMAGES_PER_PERSON] for column in drawn)


@pytest.fixture(scope="module")
def others(drawn):
    """Faces of people that are not learned from."""
    return drawn[0][NUM_PEOPLE * IMAGES_PER_PERSON :]


@pytest.fixture(scope="module")
def statistics(learned):
    return fit_crop_statistics(*learned)


def share_untypical(statistics, images):
    return float(np.mean(~statistics.is_typical(images)))


def test_faces_of_others_are_typical(statistics, others):
    assert share_untypical(statistics, others) <= 0.05


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_faces_are_not(statistics, others, turns):
    assert share_untypical(statistics, [np.rot90(one, turns) for one in others]) > 0.6


def test_faces_in_a_wider_crop_are_not(statistics, others):
    wide = [np.pad(one, ((30, 30), (30, 30), (0, 0)), constant_values=90) for one in others]
    assert share_untypical(statistics, wide) > 0.6


def test_pictures_without_a_face_are_not(statistics):
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (30, 40, 40, 3), np.uint8)
    smooth = [
        np.asarray(Image.fromarray(one[:5, :5]).resize((64, 64), Image.Resampling.BICUBIC))
        for one in noise
    ]
    assert share_untypical(statistics, noise) == 1.0
    assert share_untypical(statistics, smooth) > 0.9


def test_exchanged_colors_are_found_where_colors_tell(statistics, others):
    assert share_untypical(statistics, [one[..., ::-1] for one in others]) > 0.5


def test_size_brightness_and_contrast_do_not_matter(statistics, others):
    some = others[:20]
    before = statistics.score(some)
    sized = [np.asarray(Image.fromarray(one).resize((160, 160))) for one in some]
    faint = [(60 + one * 0.5).astype(np.uint8) for one in some]
    np.testing.assert_allclose(statistics.score(sized), before, atol=1.0)
    np.testing.assert_allclose(statistics.score(faint), before, atol=1.0)


def test_scores_of_crops_are_around_zero(statistics, learned):
    score = statistics.score(learned[0])
    assert abs(score.mean()) < 0.01
    assert score.std() == pytest.approx(1.0, abs=0.3)
    assert statistics.limit < -1.0


def test_equal_input_gives_equal_statistics(statistics, learned):
    again = fit_crop_statistics(*learned)
    assert again.get_config() == statistics.get_config()


def test_a_preset_holds_them(statistics, others, tmp_path):
    text = json.dumps(statistics.get_config())
    assert len(text) < 2_100
    back = CropStatistics.from_config(json.loads(text))
    assert np.array_equal(back.score(others), statistics.score(others))
    assert (back.limit, back.num_images) == (statistics.limit, NUM_PEOPLE * IMAGES_PER_PERSON)
    preset = {**presets.load("nn4_small2"), "crop_statistics": statistics.get_config()}
    presets.save(tmp_path, preset)
    assert presets.load(tmp_path)["crop_statistics"] == statistics.get_config()
    assert presets.load("nn4_small2")["crop_statistics"] is None


@pytest.mark.parametrize(
    "change",
    [{"format": 9}, {"weights": "AAAA"}, {"weights": "?"}, {"limit": None}, {"bias": float("nan")}],
)
def test_what_is_no_statistics(statistics, change):
    config = {**statistics.get_config(), **change}
    with pytest.raises(ValueError, match="crop_statistics must be format 1, .* Set crop_stat"):
        CropStatistics.from_config(config)
    with pytest.raises(ValueError, match="crop_statistics must be"):
        CropStatistics.from_config({})


def test_too_few_images_or_people(learned):
    images, label = (column[:10] for column in learned)
    with pytest.raises(ValueError, match="200 images and 3 people or more. Received: 10 images"):
        fit_crop_statistics(images, label)
    with pytest.raises(ValueError, match="Received: 200 images of 2 people"):
        fit_crop_statistics(images * 20, label * 20)


def test_crops_that_are_all_one_flat_picture():
    flat = [np.full((8, 8, 3), 100, np.uint8)] * 200
    statistics = fit_crop_statistics(flat, list(range(200)))
    assert np.isfinite(statistics.score(flat)).all()


class TestFeatures:
    def test_edges_by_direction_and_cell(self):
        image = np.zeros((32, 32, 3), np.uint8)
        image[:, 18:] = 200
        edges = crop_features([image])[0, :512].reshape(8, 8, 8) ** 2
        # Brightness grows to the right, direction 0, in the cells around column 18.
        np.testing.assert_allclose(edges[:, 4, 0], 1 / 8, rtol=1e-5)
        assert edges.sum() == pytest.approx(1.0)
        down = crop_features([image.swapaxes(0, 1)])[0, :512].reshape(8, 8, 8) ** 2
        np.testing.assert_allclose(down[4, :, 2], 1 / 8, rtol=1e-5)

    def test_colors_are_relative(self):
        image = np.zeros((32, 32, 3), np.uint8)
        image[..., 0] = 200
        color = crop_features([image, image // 2])[:, 512:].reshape(2, 8, 8, 3)
        assert (color[..., 0] > 0).all()
        assert (color[..., 1:] < 0).all()
        np.testing.assert_allclose(np.linalg.norm(color[0]), 0.2, rtol=1e-5)
        np.testing.assert_allclose(color[0], color[1], atol=1e-6)

    @pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 3), (200, 300)])
    def test_pictures_of_any_size(self, size):
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        found = crop_features([image])
        assert (found.shape, found.dtype) == ((1, NUM_FEATURES), np.float32)
        assert np.isfinite(found).all()

    def test_every_way_to_spoil_a_crop_changes_it(self):
        image = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
        random = np.random.default_rng(1)
        spoilt = [spoil(image, random) for _ in range(60)]
        assert {one.dtype for one in spoilt} == {np.dtype(np.uint8)}
        assert {one.ndim for one in spoilt} == {3}
        assert not any(np.array_equal(one, image) for one in spoilt)
        assert len({one.shape for one in spoilt}) > 3


class TestTraining:
    @staticmethod
    def batches(folder, num_images):
        shards = sorted(write_examples(folder, num_images).split_dir("eval").iterdir())
        return TrainingBatches(
            shards,
            Preprocessing(20, 16),
            Augmentation(),
            seed=0,
            num_identities=2,
            images_per_identity=2,
        )

    def test_crops_are_described(self, tmp_path, monkeypatch):
        monkeypatch.setattr(crops, "_MOST_IMAGES", 200)
        described = describe_crops(self.batches(tmp_path, [4] * 51))
        assert described["num_images"] == 200
        assert CropStatistics.from_config(described).limit < 0.0

    def test_two_sets_are_described_together(self, tmp_path, monkeypatch):
        sets = [self.batches(tmp_path / str(i), [50 + i] * 2) for i in range(2)]
        seen = []
        monkeypatch.setattr(
            crops,
            "fit_crop_statistics",
            lambda *found: seen.append(found) or types.SimpleNamespace(get_config=dict),
        )
        describe_crops(ConcatBatches(sets, ["one", "two"], (0.5, 0.5)))
        images, label = seen[0]
        assert len(images) == 202
        assert sorted(np.unique(label, return_counts=True)[1]) == [50, 50, 51, 51]

    def test_too_few_are_not(self, tmp_path):
        assert describe_crops(self.batches(tmp_path, [4] * 3)) is None
        assert describe_crops(self.batches(tmp_path / "two", [100] * 2)) is None
