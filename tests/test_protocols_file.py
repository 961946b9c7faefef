"""The protocol file: whole or refused, and the same protocol gives the same bytes."""

import io
import json
import zipfile

import numpy as np
import pytest

from facezoo import protocols
from facezoo.protocols import Protocol, file


def tiny(**changes):
    fields = {
        "name": "tiny",
        "image": ("Zoë/1", "Zoë/2", "line\nbreak", "\udc80"),
        "member_image": [0, 1, 2, 3],
        "member_template": [0, 1, 2, 2],
        "member_media": [0, 0, 1, 2],
        "pair": [[0, 1], [0, 2]] * 2,
        "same": [True, False] * 2,
        "person": [0, 0, -1],
        "fold": [0, 0, 1, 1],
        "set_rule": "media_mean",
        "slices": {"light": ["day", "", "night", "day"], "age": ["1", "2", "3", "4"]},
    }
    return Protocol(**{**fields, **changes})


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "tiny.npz"
    protocols.save(tiny(), path)
    return path


def assert_equal(one, other):
    for name in ("name", "image", "set_rule"):
        assert getattr(one, name) == getattr(other, name)
    for name in (*file.COLUMNS, "same"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert {name: column.tolist() for name, column in one.slices.items()} == {
        name: column.tolist() for name, column in other.slices.items()
    }


def test_what_is_saved_is_loaded(saved):
    assert_equal(protocols.load(saved), tiny())
    assert protocols.load(str(saved)).digest() == tiny().digest()


def test_without_folds_and_slices(tmp_path):
    protocols.save(tiny(fold=None, slices={}), tmp_path / "a")
    loaded = protocols.load(tmp_path / "a")
    assert (loaded.fold, loaded.slices) == (None, {})


def test_the_same_protocol_gives_the_same_bytes(saved, tmp_path):
    slices = tiny().slices
    again = tmp_path / "again.npz"
    protocols.save(tiny(slices=dict(reversed(slices.items()))), again)
    assert again.read_bytes() == saved.read_bytes()
    protocols.save(protocols.load(saved), again)
    assert again.read_bytes() == saved.read_bytes()


def test_any_program_that_reads_npz_can_read_it(saved):
    with np.load(saved) as content:
        header = json.loads(content["header"].tobytes())
        np.testing.assert_array_equal(content["pair"], tiny().pair)
    counts = {"num_images": 4, "num_templates": 3, "num_people": None, "num_pairs": 4}
    kinds = {"num_genuine": 2, "num_impostor": 2, "num_folds": 2}
    facts = {"format": 1, "name": "tiny", "set_rule": "media_mean", "digest": tiny().digest()}
    assert header == {**facts, **counts, **kinds}


def test_saving_replaces_a_file_at_once(saved, monkeypatch):
    before = saved.read_bytes()
    assert [path.name for path in saved.parent.iterdir()] == ["tiny.npz"]

    def fail(*arguments, **options):
        raise OSError("the disk is full")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="full"):
        protocols.save(tiny(name="other"), saved)
    assert saved.read_bytes() == before


def test_a_file_cut_off_anywhere_is_refused(saved):
    whole = saved.read_bytes()
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="no protocol file, or is damaged"):
            protocols.load(saved)


def test_a_byte_changed_anywhere_is_refused(saved):
    whole = saved.read_bytes()
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        saved.write_bytes(content)
        with pytest.raises(ValueError, match="tiny.npz"):
            protocols.load(saved)


def test_something_added_is_refused(saved):
    saved.write_bytes(saved.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="damaged"):
        protocols.load(saved)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06" + bytes(18), b"\x93NUMPY"])
def test_another_file_is_refused(saved, content):
    saved.write_bytes(content)
    with pytest.raises(ValueError, match="no protocol file"):
        protocols.load(saved)


def forge(path, **changes):
    """Writes the file anew, sealed, with other columns; None leaves one out."""
    with np.load(path) as content:
        columns = {**{name: content[name] for name in content.files}, **changes}
    with zipfile.ZipFile(path, "w") as archive:
        for name, column in columns.items():
            if column is not None:
                buffer = io.BytesIO()
                np.save(buffer, column)
                archive.writestr(f"{name}.npy", buffer.getvalue())
        archive.comment = bytes(64)
    whole = path.read_bytes()
    with path.open("rb") as sealed:
        path.write_bytes(whole[:-64] + file._seal(sealed.fileno()))


def header(**changes):
    facts = {"format": 1, "name": "tiny", "set_rule": "media_mean", "digest": tiny().digest()}
    return file._to_bytes({**facts, **tiny().counts(), **changes})


def test_a_forged_file_is_read_if_it_is_right(saved):
    forge(saved, header=header())
    assert_equal(protocols.load(saved), tiny())


@pytest.mark.parametrize(
    "changes",
    [
        {"num_images": 5},
        {"num_templates": 2},
        {"num_people": 2},
        {"num_pairs": 3},
        {"num_genuine": 3},
        {"num_impostor": 1},
        {"num_folds": 0},
        {"digest": "0" * 64},
    ],
)
def test_a_wrong_count_is_refused(saved, changes):
    forge(saved, header=header(**changes))
    ((name, said),) = changes.items()
    with pytest.raises(ValueError, match=rf"does not hold.*: {name} {said}, found"):
        protocols.load(saved)


@pytest.mark.parametrize("number", [2, 99, 0])
def test_another_format_is_refused(saved, number):
    forge(saved, header=header(format=number), pair=None)
    with pytest.raises(ValueError, match=rf"has the format {number}. Expected: 1. Read it with"):
        protocols.load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"pair": None},
        {"same": None},
        {"image": None},
        {"header": None},
        {"header": file._to_bytes([1])},
        {"header": file._to_bytes({"name": "no format"})},
        {"header": np.zeros(3, np.uint8)},
        {"image": file._to_bytes({"a": 1})},
        {"image": file._to_bytes(3)},
        {"slices": file._to_bytes([1])},
        {"slices": file._to_bytes({"light": 1})},
        {"pair": np.array([[0, 3]] * 4)},
        {"pair": np.array([[0.0, 1.0]] * 4)},
        {"person": np.array([{}, {}, {}], object)},
    ],
)
def test_columns_that_do_not_fit_are_refused(saved, changes):
    forge(saved, **changes)
    with pytest.raises(ValueError, match="tiny.npz"):
        protocols.load(saved)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        protocols.load(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError):
        protocols.save(tiny(), tmp_path / "none" / "a.npz")
