"""Batches as NumPy arrays: the right pixels with the right label, the same from any step on."""

import gc
import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facezoo.data.augment import Augmentation
from facezoo.data.batches import TrainingBatches
from facezoo.data.draws import NUM_DRAWS
from facezoo.data.images import encode_png
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.record_index import RecordIndex
from tests.shards import in_file_order, jpeg, noise, record, write_shard, write_shards

LABELS = [9, 4, 4, 0, 9, 4, 0, 9, 9, 0, 4, 2, 2, 4, 0, 2]
SETTINGS = {"num_identities": 3, "images_per_identity": 3, "num_negatives": 2, "seed": 5}
SAME_SIZE = Preprocessing(12, 10)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), LABELS, num_shards=3)


@pytest.fixture(scope="module")
def batches(paths):
    return TrainingBatches(paths, SAME_SIZE, Augmentation(), **SETTINGS)


def assert_equal(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_batch_says_what_it_is(batches):
    image, label, draw, weight = batches.read(0)
    assert image.shape == (11, 12, 10, 3) and image.dtype == np.uint8
    assert label.shape == (11,) and label.dtype == np.int32
    assert draw.shape == (11, NUM_DRAWS) and draw.dtype == np.float32
    assert weight is None
    assert (batches.batch_size, batches.num_images, batches.num_classes) == (11, 16, 10)
    np.testing.assert_array_equal(batches.label, np.array(LABELS)[in_file_order(LABELS, 3)])


def test_an_image_stands_with_its_own_label(batches):
    pictures = in_file_order(LABELS, 3)
    for step in range(5):
        batch, positions = batches.read(step), batches.positions(step)
        np.testing.assert_array_equal(batch.label, np.array(LABELS)[pictures[positions]])
        for image, number in zip(batch.image, pictures[positions], strict=True):
            np.testing.assert_array_equal(image, noise(number))


def test_batches_depend_on_seed_and_step_alone(batches, paths, tmp_path):
    index = RecordIndex.build(paths, tmp_path / "index")
    again = TrainingBatches(index, SAME_SIZE, Augmentation(), num_threads=3, **SETTINGS)
    for step in (7, 2, 0, 7):
        assert_equal(again.read(step), batches.read(step))
    other = TrainingBatches(index, SAME_SIZE, Augmentation(), **{**SETTINGS, "seed": 6})
    assert not np.array_equal(other.read(0).image, batches.read(0).image)
    assert not np.array_equal(other.read(0).draw, batches.read(0).draw)


@pytest.mark.parametrize("num_replicas", [1, 2, 3, 11])
def test_the_rows_of_all_replicas_are_the_batch(batches, num_replicas):
    whole, rows = batches.read(3), np.arange(batches.batch_size)
    joined = [np.empty_like(part) for part in whole[:3]]
    for replica in range(num_replicas):
        own = rows[replica::num_replicas]
        for target, part in zip(joined, batches.read(3, own), strict=False):
            target[own] = part
    assert_equal(joined, whole[:3])
    assert len(batches.read(3, np.array([], np.int64)).image) == 0


def test_draws_fill_their_range(batches):
    draw = np.concatenate([batches.read(step, np.array([4])).draw for step in range(300)])
    assert draw.min() >= -1 and draw.max() < 1
    assert np.abs(draw.mean(axis=0)).max() < 0.15 and np.abs(draw.std(axis=0) - 3**-0.5).max() < 0.1
    assert np.unique(draw).size > 0.99 * draw.size


def test_other_sizes_are_resized_as_in_the_served_graph(paths):
    from facezoo.data.decode import decode_and_resize

    smaller = Preprocessing(9, 8)
    batches = TrainingBatches(paths, smaller, Augmentation(), **SETTINGS)
    image = batches.read(0).image
    assert image.dtype == np.float32
    for one, position in zip(image, batches.positions(0), strict=True):
        graph = decode_and_resize(batches.index.read(position).encoded, smaller)
        np.testing.assert_allclose(one, graph, atol=1e-3)


def test_pictures_of_many_sizes_and_formats_make_one_batch(tmp_path):
    records = [
        record(0, 0),
        record(1, 1, 30, 20, encoded=jpeg(1, 30, 20), format="jpeg"),
        record(2, 2, encoded=jpeg(2), format="jpeg"),
    ]
    paths = [write_shard(tmp_path / "shard", records)]
    sizes = {"num_identities": 3, "images_per_identity": 1, "seed": 0}
    batch = TrainingBatches(paths, SAME_SIZE, Augmentation(), **sizes).read(0)
    assert batch.image.dtype == np.float32
    plain = batch.image[batch.label.tolist().index(0)]
    np.testing.assert_array_equal(plain, noise(0))


def test_threads_may_read_different_steps(batches):
    expected = [batches.read(step) for step in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(batches.read, range(12)), expected, strict=True):
            assert_equal(found, wanted)


def test_dropped_batches_leave_no_thread_and_no_folder(paths):
    before = threading.active_count()
    batches = TrainingBatches(paths, SAME_SIZE, Augmentation(), **SETTINGS)
    batches.read(0)
    folder, threads = Path(batches._folder.name), list(batches._threads._threads)
    assert folder.exists() and all(thread.is_alive() for thread in threads)
    del batches
    gc.collect()
    for thread in threads:
        thread.join(10)
    assert not folder.exists() and threading.active_count() <= before


def one_shard(folder, **changes):
    records = [record(0, 0), record(1, 1, **changes)]
    sizes = {"num_identities": 2, "images_per_identity": 1, "seed": 0}
    return TrainingBatches(
        [write_shard(folder / "shard", records)], SAME_SIZE, Augmentation(), **sizes
    )


@pytest.mark.parametrize("encoded", [b"no picture", b"\xff\xd8\xff", b"", jpeg(0)[:-40]])
def test_a_picture_that_cannot_be_decoded_is_named(tmp_path, encoded):
    with pytest.raises(ValueError, match="'test/1.png' at byte .*shard cannot be decoded"):
        one_shard(tmp_path, encoded=encoded).read(0)


def test_a_picture_of_another_size_than_its_record_says_is_named(tmp_path):
    with pytest.raises(ValueError, match="Expected: 12 x 10. Received: 11 x 10"):
        one_shard(tmp_path, encoded=encode_png(noise(1, 11))).read(0)


def test_a_damaged_record_is_named(paths, tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(paths[0].read_bytes())
    sizes = {"num_identities": 2, "images_per_identity": 1, "seed": 0}
    batches = TrainingBatches([path], SAME_SIZE, Augmentation(), **sizes)
    data = bytearray(path.read_bytes())
    data[40::100] = bytes(len(data[40::100]))
    path.write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read: its data"):
        for step in range(3):
            batches.read(step)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_identities": 5}, "Received: num_identities=5"),
        ({"images_per_identity": 7}, "at most 16 images"),
        ({"num_negatives": 4}, "Received: num_negatives=4"),
        ({"seed": -1}, "non-negative"),
    ],
)
def test_batches_that_the_data_cannot_fill_are_refused(paths, changes, message):
    with pytest.raises(ValueError, match=message):
        TrainingBatches(paths, SAME_SIZE, Augmentation(), **{**SETTINGS, **changes})


def test_shards_without_a_picture_are_refused(tmp_path):
    with pytest.raises(ValueError, match="the data has no more"):
        TrainingBatches(
            [write_shard(tmp_path / "empty", [])], SAME_SIZE, Augmentation(), **SETTINGS
        )


def digest(paths, first_step, num_steps):
    """Of everything in some batches."""
    batches = TrainingBatches(paths, SAME_SIZE, Augmentation(), **SETTINGS)
    found = hashlib.sha256()
    for step in range(first_step, first_step + num_steps):
        for part in (batches.positions(step), *batches.read(step)[:3]):
            found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["1", "77"])
def test_the_next_100_batches_are_the_same_in_another_process(paths, hash_seed):
    program = (
        "import sys; from tests.test_batches import digest; print(digest(sys.argv[1:], 37, 100))"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, *map(str, paths)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    assert process.stdout.split()[-1] == digest(paths, 37, 100)
