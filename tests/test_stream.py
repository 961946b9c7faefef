"""The stream: every batch in order, ready for the network, alike with and without TensorFlow."""

import gc
import importlib.util
import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest

from facezoo.data.augment import Augmentation
from facezoo.data.batches import TrainingBatches
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.stream import stream
from tests.shards import write_shards

LABELS = [0, 1, 2, 3] * 5
NUM_STEPS = 3
STRONG = Augmentation(rotation=0.3, zoom=0.2, shift=0.1, brightness=0.2, contrast=0.3, erase=0.3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), LABELS)


def make_batches(paths, size=(12, 10)):
    return TrainingBatches(
        paths,
        Preprocessing(*size, "per_image"),
        STRONG,
        num_identities=3,
        images_per_identity=3,
        num_negatives=1,
        seed=2,
    )


@pytest.fixture(scope="module")
def batches(paths):
    return make_batches(paths)


@pytest.fixture(params=["tensorflow", "thread"])
def way(request, monkeypatch):
    """Both ways of reading ahead, on TensorFlow's tensors."""
    if request.param == "thread":
        monkeypatch.setattr(keras.backend, "backend", lambda: "another")


def take(iterator, number):
    return [[np.asarray(part) for part in next(iterator)] for _ in range(number)]


def test_a_batch_is_augmented_standardised_and_in_order(batches, way):
    for step, (image, label) in enumerate(take(stream(batches, first_step=2), NUM_STEPS)):
        batch = batches.read(2 + step)
        assert image.shape == (10, 12, 10, 3) and image.dtype == np.float32
        assert label.dtype == np.int32
        np.testing.assert_array_equal(label, batch.label)
        expected = batches.preprocessing.standardize(STRONG(batch.image, batch.draw))
        np.testing.assert_allclose(image, expected, atol=1e-4)


def test_the_stream_goes_on_from_any_step(batches, way):
    whole = take(stream(batches), 5)
    rest = take(stream(batches, first_step=3), 2)
    for before, after in zip(whole[3:], rest, strict=True):
        for first, second in zip(before, after, strict=True):
            np.testing.assert_array_equal(first, second)
    assert not np.array_equal(whole[0][0], whole[1][0])


def test_replicas_get_the_rows_of_one_batch(paths, way):
    # Of another size than the records, so that images are read as float32.
    batches = make_batches(paths, (9, 8))
    (image, label), *_ = take(stream(batches, 1), 1)
    for replica in range(3):
        rows = np.arange(batches.batch_size)[replica::3]
        ((own_image, own_label),) = take(stream(batches, 1, rows), 1)
        np.testing.assert_array_equal(own_label, label[rows])
        np.testing.assert_allclose(own_image, image[rows], atol=1e-4)


class Weighted:
    """Batches with weights, such as those of several data sets."""

    def __init__(self, batches):
        self.batch_size = batches.batch_size
        self.preprocessing, self.augmentation = batches.preprocessing, batches.augmentation
        self._read = batches.read

    def read(self, step, rows=None):
        batch = self._read(step, rows)
        return batch._replace(weight=batch.label.astype(np.float32) / 2)


def test_weights_go_with_their_images(batches, way):
    for image, label, weight in take(stream(Weighted(batches)), 2):
        assert len(image) == 10 and weight.dtype == np.float32
        np.testing.assert_array_equal(weight, label / 2)


class Failing(Weighted):
    """Batches of which one cannot be read."""

    def read(self, step, rows=None):
        if step == 2:
            raise ValueError("The record at byte 7 cannot be read.")
        return self._read(step, rows)


def test_an_error_comes_where_its_batch_would_have_come(batches, way):
    iterator = stream(Failing(batches))
    take(iterator, 2)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^The record at byte 7 cannot be read\.$"):
            next(iterator)


@pytest.fixture
def determinism():
    """Training switches it on, and with it tf.data's own prefetching off."""
    # Not at the top: the programs below import this file where there is no TensorFlow.
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def test_the_next_batches_are_ready_before_they_are_asked_for(batches, way, determinism):
    read = []
    watched = Weighted(batches)
    watched.read = lambda step, rows=None: read.append(step) or batches.read(step, rows)
    iterator = stream(watched)
    next(iterator)
    deadline = time.monotonic() + 60
    while max(read) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 2 <= max(read) < 12


def test_a_dropped_stream_leaves_nothing_behind(paths, way):
    batches = make_batches(paths)
    iterator = stream(batches)
    next(iterator)
    kept = weakref.ref(batches)
    del batches, iterator
    deadline = time.monotonic() + 60
    while kept() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert kept() is None
    names = [thread.name for thread in threading.enumerate()]
    assert "facezoo-stream" not in names


def write_stream(target, *paths):
    """What another back end makes of the same shards; it must not need TensorFlow."""
    iterator = stream(make_batches(paths), first_step=4)
    image, label = (np.stack(parts) for parts in zip(*take(iterator, NUM_STEPS), strict=True))
    np.savez(target, image=image, label=label)


def run(program, *arguments, backend):
    process = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_without_tensorflow_the_images_are_the_same(paths, tmp_path, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f'{backend} is not installed: pip install -e ".[backends]"')
    program = (
        # Importing it then fails as if it were not installed.
        "import sys; sys.modules['tensorflow'] = None; "
        "from tests.test_stream import write_stream; write_stream(*sys.argv[1:])"
    )
    run(program, tmp_path / "found.npz", *paths, backend=backend)
    found = np.load(tmp_path / "found.npz")
    expected = take(stream(make_batches(paths), first_step=4), NUM_STEPS)
    for step, (image, label) in enumerate(expected):
        np.testing.assert_array_equal(found["label"][step], label)
        # 1e-3 grey levels: the pictures' standard deviation is above 20.
        np.testing.assert_allclose(found["image"][step], image, atol=1e-3 / 20)


LAST = None


def leave_in_mid_stream(*paths):
    """Keeps a stream alive until the interpreter takes its modules apart."""
    global LAST
    LAST = stream(make_batches(paths))
    next(LAST)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_program_that_ends_in_mid_stream_ends(paths, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f'{backend} is not installed: pip install -e ".[backends]"')
    program = (
        "import sys; from tests.test_stream import leave_in_mid_stream; "
        "leave_in_mid_stream(*sys.argv[1:])"
    )
    run(program, *paths, backend=backend)
