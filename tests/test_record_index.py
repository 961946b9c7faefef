"""The index: every record at once, bounded memory, and no mistake about whose index it is."""

import gc
import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from facezoo.data import index_writer, record_index
from facezoo.data.examples import parse_example
from facezoo.data.identity_groups import IdentityGroups
from facezoo.data.record_index import RecordIndex, UnfitIndex
from facezoo.data.records import read_records
from tests.shards import record, write_shard, write_shards

# Neither sorted nor without gaps.
LABELS = [7, 3, 900, 7, 7, 3, 41, 900, 7, 3, 2_000_000_000, 7]


@pytest.fixture
def paths(tmp_path):
    return write_shards(tmp_path / "Split-train", LABELS, num_shards=3)


@pytest.fixture
def index(paths, tmp_path):
    return RecordIndex.build(paths, tmp_path / "Index-train")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_record_is_read_in_any_order(paths, index):
    records = [parse_example(one) for path in paths for one in read_records(path)]
    assert index.num_images == len(records) == len(LABELS)
    for position in np.random.default_rng(0).permutation(index.num_images):
        assert index.read(position) == records[position]
    assert index.label.tolist() == [one.label for one in records]


@pytest.mark.parametrize("block", [1, 5, 2**20])
def test_images_are_grouped_by_identity_whatever_the_blocks(paths, tmp_path, monkeypatch, block):
    monkeypatch.setattr(index_writer, "_BLOCK", block)
    groups = RecordIndex.build(paths, tmp_path / "index").groups
    label = [parse_example(one).label for path in paths for one in read_records(path)]
    expected = IdentityGroups.of(np.array(label))
    for found, wanted in zip(groups, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert groups.identities.tolist() == sorted(set(LABELS))


def test_columns_stay_on_disk(index):
    for column in (index.label, index._offset, index._length, index._shard, *index.groups):
        assert isinstance(column, np.memmap) and not column.flags.writeable


def test_equal_shards_give_equal_bytes(paths, tmp_path):
    for name in ("first", "second"):
        RecordIndex.build(paths, tmp_path / name)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_an_index_is_opened_and_not_built_again(paths, index, tmp_path, monkeypatch):
    monkeypatch.setattr(index_writer, "write_index", None)
    again = RecordIndex.open_or_build(paths, tmp_path / "Index-train")
    assert again.read(4) == index.read(4)


def test_a_missing_index_is_built(paths, tmp_path):
    index = RecordIndex.open_or_build(paths, tmp_path / "new" / "folder")
    assert index.num_images == len(LABELS)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["folder"]


def test_data_sets_are_told_apart(tmp_path):
    first = [record(number, number % 2, dataset="one") for number in range(5)]
    second = [record(number, number % 3, 8, 8, dataset="two") for number in range(7)]
    mixed = [first[0], *second[:4], *first[1:3]], [*second[4:], *first[3:]]
    paths = [write_shard(tmp_path / str(number), part) for number, part in enumerate(mixed)]
    index = RecordIndex.build(paths, tmp_path / "index")
    assert index.datasets == ["one", "two"] and index.image_size is None
    for name, records, size in (("one", first, (12, 10)), ("two", second, (8, 8))):
        part = index.select(name)
        assert part.datasets == [name] and part.image_size == size
        assert [part.read(position) for position in range(part.num_images)] == records
        expected = IdentityGroups.of(part.label)
        for found, wanted in zip(part.groups, expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    with pytest.raises(ValueError, match="Expected one of: one, two. Received: 'three'"):
        index.select("three")


def test_the_only_data_set_is_the_whole(index):
    assert index.select("test") is index and index.image_size == (12, 10)


def test_images_of_several_sizes_are_noticed(tmp_path):
    path = write_shard(tmp_path / "shard", [record(0, 0), record(1, 0, 12, 11), record(2, 0)])
    assert RecordIndex.build([path], tmp_path / "index").image_size is None


def test_shards_without_a_record_have_an_index(tmp_path):
    paths = [write_shard(tmp_path / "empty", [])]
    index = RecordIndex.build(paths, tmp_path / "index")
    assert index.num_images == index.groups.num_identities == 0 and index.image_size is None


def grow(paths):
    write_shard(paths[1], [record(0, 7)] * 9)


def rename(paths):
    paths[2] = paths[2].rename(paths[2].with_name("other"))


def reorder(paths):
    paths[0], paths[1] = paths[1], paths[0]


def leave_out(paths):
    del paths[2]


@pytest.mark.parametrize("change", [grow, rename, reorder, leave_out])
def test_the_index_of_other_shards_is_refused_or_made_anew(paths, index, tmp_path, change):
    change(paths)
    with pytest.raises(UnfitIndex, match="is not the index of these shards: it was made of"):
        RecordIndex.open(tmp_path / "Index-train", paths)
    again = RecordIndex.open_or_build(paths, tmp_path / "Index-train")
    expected = [parse_example(one) for path in paths for one in read_records(path)]
    assert [again.read(position) for position in range(again.num_images)] == expected
    assert not list(tmp_path.glob("*.partial"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-4])


def shorten(path):
    np.save(path, np.load(path)[:-1])


def remove(path):
    path.unlink()


@pytest.mark.parametrize("damage", [cut, shorten, remove])
@pytest.mark.parametrize("name", [*index_writer.COLUMNS, *index_writer.GROUPS])
def test_a_damaged_column_is_noticed(paths, index, tmp_path, damage, name):
    damage(tmp_path / "Index-train" / f"{name}.npy")
    with pytest.raises(UnfitIndex, match=rf"{name}.npy|starts.npy"):
        RecordIndex.open(tmp_path / "Index-train", paths)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 0}', '{"version": 1}'])
def test_damaged_properties_are_noticed(paths, index, tmp_path, text):
    (tmp_path / "Index-train" / "index.json").write_text(text)
    with pytest.raises(UnfitIndex, match="RecordIndex.build"):
        RecordIndex.open(tmp_path / "Index-train", paths)


def test_a_build_that_fails_leaves_the_old_index_and_nothing_else(paths, index, tmp_path):
    before = contents(tmp_path / "Index-train")
    paths[2].write_bytes(paths[2].read_bytes()[:-7])
    with pytest.raises(ValueError, match="cannot be read"):
        RecordIndex.build(paths, tmp_path / "Index-train")
    assert contents(tmp_path / "Index-train") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Index-train", "Split-train"]


def test_a_folder_of_something_else_is_not_replaced(paths, tmp_path):
    with pytest.raises(ValueError, match="must be a new folder, or hold an index"):
        RecordIndex.open_or_build(paths, tmp_path / "Split-train")
    assert all(path.exists() for path in paths)


@pytest.mark.parametrize("byte", [0, 9, 30, "last"])
def test_a_damaged_record_is_named(paths, index, byte):
    position = index._shard.tolist().index(1)
    data = bytearray(paths[1].read_bytes())
    data[index._offset[position + 1] - 1 if byte == "last" else byte] ^= 1
    paths[1].write_bytes(data)
    with pytest.raises(ValueError, match=r"The record at byte 0 of .*00001 cannot be read"):
        index.read(position)
    assert index.read(0).label == LABELS[0]


def test_a_label_that_is_none_is_refused(tmp_path):
    path = write_shard(tmp_path / "shard", [record(0, 1), record(1, -1)])
    with pytest.raises(ValueError, match="no usable label.*Received: -1"):
        RecordIndex.build([path], tmp_path / "index")


def open_files():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files by /proc")
def test_threads_share_few_open_files_which_are_closed(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(record_index, "_MAX_OPEN_SHARDS", 1)
    index = RecordIndex.build(paths, tmp_path / "index")
    gc.collect()
    before = open_files()
    expected = [index.read(position) for position in range(index.num_images)]
    positions = np.random.default_rng(0).integers(0, index.num_images, 400)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(index.read, positions))
    assert read == [expected[position] for position in positions]
    assert open_files() <= before + 1
    del index
    gc.collect()
    # The columns were open, too.
    assert open_files() < before


def test_properties_name_no_folder(index, tmp_path):
    properties = json.loads((tmp_path / "Index-train" / "index.json").read_text())
    assert [name for name, _ in properties["shards"]] == [
        f"data_tfrecord-0000{number}" for number in range(3)
    ]
