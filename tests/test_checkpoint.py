"""Checkpoints: whole or not there, the newest that can be read, never another model's."""

import keras
import numpy as np
import pytest

from facezoo.training.checkpoint import Snapshot, latest_checkpoint, save_checkpoint


def variables(value=1.0, shape=(2, 3), dtype="float32"):
    made = keras.Variable(np.full(shape, value), dtype=dtype, name="kernel")
    return {"model": [made], "optimizer": [keras.Variable(7, dtype="int32", name="iteration")]}


def save(folder, number, **settings):
    name = f"checkpoint-{number:03d}"
    return save_checkpoint(folder, name, Snapshot.take(variables(**settings)), {"step": number})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_round_trip_gives_the_same_bits(tmp_path, dtype):
    save(tmp_path, 3, value=0.1, dtype=dtype)
    found = latest_checkpoint(tmp_path)
    fresh = variables(0.0, dtype=dtype)
    found.restore(fresh)
    expected = variables(0.1, dtype=dtype)["model"][0]
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(fresh["model"][0]), keras.ops.convert_to_numpy(expected)
    )
    assert found.content == {"step": 3} and int(fresh["optimizer"][0]) == 7


def test_the_content_comes_back_to_the_bit(tmp_path):
    content = {"sum": 0.1 + 0.2, "none": None, "text": "ä"}
    save_checkpoint(tmp_path, "a", Snapshot.take({}), content)
    assert latest_checkpoint(tmp_path).content == content


def test_no_folder_and_an_empty_one_have_no_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None and latest_checkpoint(tmp_path / "no") is None


def test_the_newest_two_are_kept(tmp_path):
    for number in range(4):
        save(tmp_path, number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint-002.npz", "checkpoint-003.npz"]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_file_is_passed_over(tmp_path, damage):
    save(tmp_path, 1)
    path = save(tmp_path, 2, shape=(20, 30))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    changed = {"cut": data[: len(data) // 2], "flip": data, "empty": b"", "text": b"hello" * 99}
    path.write_bytes(changed[damage])
    assert latest_checkpoint(tmp_path).content == {"step": 1}
    (tmp_path / "checkpoint-001.npz").unlink()
    with pytest.raises(ValueError, match="No checkpoint of .* can be read .*start anew"):
        latest_checkpoint(tmp_path)


def test_a_file_that_was_cut_off_in_writing_is_not_seen(tmp_path):
    (tmp_path / "checkpoint-009.partial").write_bytes(b"half")
    assert latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize(
    "change", [{"shape": (3, 2)}, {"dtype": "float16"}], ids=["shape", "dtype"]
)
def test_another_models_checkpoint_is_refused_and_nothing_changed(tmp_path, change):
    save(tmp_path, 1)
    other = variables(5.0, **change)
    with pytest.raises(ValueError, match=r"another training: its model does not fit.*kernel"):
        latest_checkpoint(tmp_path).restore(other)
    assert float(keras.ops.max(other["model"][0])) == 5.0


def test_more_variables_are_refused(tmp_path):
    save(tmp_path, 1)
    more = variables()
    more["model"].append(keras.Variable(1.0))
    with pytest.raises(ValueError, match=r"Expected: 1 variables. Received: 2 variables"):
        latest_checkpoint(tmp_path).restore(more)
