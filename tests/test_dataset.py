"""Shards in file order, for measuring; preprocessing is as documented."""

import numpy as np
import pytest

from facezoo.data.preprocessing import Preprocessing
from tests.shards import in_file_order, noise, write_shards

pytest.importorskip("tensorflow")
SIZE = Preprocessing(height=12, width=10)
LABELS = [0, 0, 0, 0, 1, 1, 1, 2]


def test_image_dataset_keeps_file_order_and_the_last_batch(tmp_path):
    from facezoo.data.dataset import image_dataset

    shards = write_shards(tmp_path, LABELS)
    got = list(image_dataset(shards, SIZE, batch_size=3).as_numpy_iterator())
    assert [len(label) for _, label in got] == [3, 3, 2]
    image, label = (np.concatenate(parts) for parts in zip(*got, strict=True))
    order = in_file_order(LABELS)
    expected = np.stack([noise(number) for number in order])
    np.testing.assert_allclose(image, (expected - 127.5) / 128, atol=1e-6)
    np.testing.assert_array_equal(label, np.array(LABELS)[order])


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
