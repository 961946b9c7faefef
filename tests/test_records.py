"""TFRecord files: TensorFlow reads what we write, and damage is found."""

import os

import pytest

from facezoo.data.examples import encode_example, parse_example, parse_features
from facezoo.data.records import (
    RecordWriter,
    index_records,
    read_record_at,
    read_records,
    scan_records,
)
from facezoo.data.schema import FaceRecord

RECORDS = [b"", b"one", b"\x00" * 1000, b"zwei"]
FACE = FaceRecord(b"bytes", "png", 3, 4, "Zoë/1.png", "Zoë", 7, "test")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data_tfrecord-00000-of-00001"
    with RecordWriter(path) as writer:
        for record in RECORDS:
            writer.write(record)
    return path


def test_read_gives_what_was_written(path):
    assert list(read_records(path)) == RECORDS
    assert [record for _, record in scan_records(path)] == RECORDS
    assert [offset for offset, _ in scan_records(path)] == index_records(path)


@pytest.fixture
def descriptor(path):
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_a_record_is_read_at_its_place(path, descriptor):
    places = list(zip(index_records(path), RECORDS, strict=True))
    for offset, record in reversed(places):
        assert read_record_at(descriptor, path, offset, len(record)) == record


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (1, 0), (16, 2), (16, 4), (9999, 3)])
def test_a_wrong_place_is_noticed(path, descriptor, offset, length):
    with pytest.raises(ValueError, match=f"The record at byte {offset} of .* cannot be read"):
        read_record_at(descriptor, path, offset, length)


@pytest.mark.parametrize("position", [16, 27, 28, 29, 31, 34])
def test_damage_at_a_place_is_noticed(path, descriptor, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read"):
        read_record_at(descriptor, path, 16, 3)


@pytest.mark.parametrize("end", [16, 20, 28, 30, 34])
def test_a_cut_at_a_place_is_noticed(path, descriptor, end):
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ValueError, match="cannot be read"):
        read_record_at(descriptor, path, 16, 3)


def test_tensorflow_reads_our_files_and_our_examples(path):
    tf = pytest.importorskip("tensorflow")
    assert [one.numpy() for one in tf.data.TFRecordDataset(str(path))] == RECORDS
    feature = tf.train.Example.FromString(encode_example(FACE)).features.feature
    assert feature["identity/name"].bytes_list.value[0].decode() == "Zoë"
    assert feature["identity/label"].int64_list.value[0] == 7


def test_we_read_tensorflows_files_and_examples(tmp_path):
    tf = pytest.importorskip("tensorflow")
    example = tf.train.Example()
    example.features.feature["score"].float_list.value.append(0.5)
    example.features.feature["empty"].SetInParent()
    path = tmp_path / "theirs"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString())
    (record,) = read_records(path)
    assert parse_features(record) == {"score": [0.5], "empty": []}


def test_equal_records_give_equal_bytes_and_come_back():
    assert encode_example(FACE) == encode_example(FaceRecord(**vars(FACE)))
    assert parse_example(encode_example(FACE)) == FACE


@pytest.mark.parametrize("cut", [1, 11, 13, 17, 1060])
def test_a_cut_off_file_is_refused(path, cut):
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    with pytest.raises(ValueError, match="cannot be read"):
        list(read_records(path))


@pytest.mark.parametrize("position", [0, 9, 30, 60])
def test_a_flipped_bit_is_found(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read"):
        list(read_records(path))


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), RecordWriter(tmp_path / "new") as writer:
        writer.write(b"half")
        raise RuntimeError("in the middle")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_example_is_refused():
    with pytest.raises(ValueError, match="not a tf.Example"):
        parse_example(b"\xff\xff\xff")
    with pytest.raises(ValueError, match="does not fit the schema"):
        parse_example(b"")
