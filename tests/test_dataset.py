"""Shards to batches: file order for measuring, reproducible P x K for training."""

import io

import numpy as np
import pytest
from PIL import Image

from facezoo.data.augment import Augmentation
from facezoo.data.dataset import TrainingBatches, image_dataset
from facezoo.data.examples import encode_example
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.records import RecordWriter
from facezoo.data.schema import FaceRecord

tf = pytest.importorskip("tensorflow")
SIZE = Preprocessing(height=12, width=10)
PEOPLE = {0: 4, 1: 3, 2: 1}


def png(seed, height=12, width=10):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    return data.getvalue(), pixels


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    labels = [label for label, count in PEOPLE.items() for _ in range(count)]
    paths = [folder / f"data_tfrecord-0000{number}-of-00002" for number in range(2)]
    for number, path in enumerate(paths):
        with RecordWriter(path) as writer:
            for index in range(number, len(labels), 2):
                encoded, _ = png(index)
                name = f"{labels[index]}/{index}.png"
                record = FaceRecord(encoded, "png", 12, 10, name, "x", labels[index], "test")
                writer.write(encode_example(record))
    return paths


def batches(shards, augmentation=None, **changes):
    settings = {"num_identities": 2, "images_per_identity": 3, "seed": 0, **changes}
    return TrainingBatches(shards, SIZE, augmentation or Augmentation(flip=False), **settings)


def test_image_dataset_keeps_file_order_and_the_last_batch(shards):
    got = list(image_dataset(shards, SIZE, batch_size=3).as_numpy_iterator())
    assert [len(label) for _, label in got] == [3, 3, 2]
    image = np.concatenate([image for image, _ in got])
    expected = np.stack([png(index)[1] for index in [0, 2, 4, 6, 1, 3, 5, 7]])
    np.testing.assert_allclose(image, (expected - 127.5) / 128, atol=1e-6)
    assert np.concatenate([label for _, label in got]).tolist() == [0, 0, 1, 1, 0, 0, 1, 2]


def test_training_batches_are_p_times_k(shards):
    image, label = next(iter(batches(shards).dataset()))
    assert image.shape == (6, 12, 10, 3) and image.dtype == tf.float32
    assert sorted(np.unique(label, return_counts=True)[1]) == [3, 3]


def test_an_image_stands_with_its_own_label(shards):
    by_pixels = {
        png(index)[1].tobytes(): label for index, label in enumerate([0] * 4 + [1] * 3 + [2])
    }
    image, label = next(iter(batches(shards, num_identities=3).dataset()))
    pixels = np.round(image.numpy() * 128 + 127.5).astype(np.uint8)
    assert [by_pixels[one.tobytes()] for one in pixels] == label.numpy().tolist()


def test_the_stream_goes_on_from_any_step(shards):
    strong = Augmentation(
        rotation=0.3, zoom=0.2, shift=0.1, brightness=0.2, contrast=0.3, erase=0.3
    )
    whole = list(batches(shards, strong).dataset().take(6).as_numpy_iterator())
    rest = list(batches(shards, strong).dataset(first_step=3).take(3).as_numpy_iterator())
    for (image, label), (image_again, label_again) in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(image, image_again)
        np.testing.assert_array_equal(label, label_again)
    assert not np.array_equal(whole[0][0], whole[1][0])


def test_too_few_people_are_refused(shards):
    with pytest.raises(ValueError, match="num_identities=4"):
        batches(shards, num_identities=4)


def test_no_augmentation_changes_nothing():
    image = tf.random.stateless_uniform((2, 12, 10, 3), (1, 2)) * 255
    same = Augmentation(flip=False)(image, tf.constant([0, 1]))
    np.testing.assert_allclose(same, image, atol=1e-3)


def test_flip_mirrors_about_half_of_the_images():
    image = tf.tile(tf.random.stateless_uniform((1, 6, 5, 3), (1, 2)) * 255, (64, 1, 1, 1))
    changed = Augmentation(flip=True)(image, tf.constant([0, 1])).numpy()
    same = np.isclose(changed, image, atol=1e-2).all(axis=(1, 2, 3))
    mirrored = np.isclose(changed, image[:, :, ::-1], atol=1e-2).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all() and 16 < mirrored.sum() < 48


@pytest.mark.parametrize("name", ["rotation", "zoom", "shift", "brightness", "contrast", "erase"])
def test_each_change_changes_within_the_pixel_range(name):
    image = tf.random.stateless_uniform((4, 12, 10, 3), (1, 2)) * 255
    changed = Augmentation(flip=False, **{name: 0.3})(image, tf.constant([0, 1])).numpy()
    assert np.abs(changed - image).max() > 1 and changed.min() >= 0 and changed.max() <= 255


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_impossible_augmentation_is_refused(value):
    with pytest.raises(ValueError, match="Received: "):
        Augmentation(erase=value)


def test_standardisation_is_as_documented():
    image = np.random.default_rng(0).integers(0, 256, (2, 12, 10, 3)).astype(np.float32)
    fixed = Preprocessing(12, 10).standardize(image)
    np.testing.assert_allclose(fixed, (image - 127.5) / 128, atol=1e-6)
    each = np.asarray(Preprocessing(12, 10, "per_image").standardize(image))
    np.testing.assert_allclose(each.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(each.std((1, 2, 3)), 1, atol=1e-4)
    flat = Preprocessing(12, 10, "per_image").standardize(np.full((1, 12, 10, 3), 9.0))
    assert np.isfinite(np.asarray(flat)).all()


def test_preprocessing_hash_binds_every_field():
    others = [
        Preprocessing(13, 10),
        Preprocessing(12, 11),
        Preprocessing(12, 10, "per_image"),
    ]
    assert SIZE.fingerprint() == Preprocessing(12, 10).fingerprint()
    assert len({one.fingerprint() for one in [SIZE, *others]}) == 4
