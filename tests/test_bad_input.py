"""Bad input: each kind gives the right record or a row with its reason, and the counts add up."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from facezoo.data import records, references
from facezoo.data.examples import parse_example
from facezoo.data.images import decode_rgb
from facezoo.data.references import printable
from pipelines.beam_errors import one_clear_line
from pipelines.component import ComponentError
from pipelines.components.example_gen import ExampleGen
from pipelines.components.transform import Transform
from pipelines.examples_folder import read_quarantine
from tests.bad_pictures import GREY, PHOTO, bad_input
from tests.checks import component as checks
from tests.photographs import encoded, make_people, photograph

ODD_NAMES = {
    b"umlaut/\xc3\xa4\xe2\x98\x83.png": "umlaut/ä☃.png",
    b"latin/\xe4.png": "latin/\\xe4.png",
    b"newline/a\nb.png": "newline/a\nb.png",
    b'spaces/ a , "b" \'.png': 'spaces/ a , "b" \'.png',
    b"back\\slash/1.png": "back\\\\slash/1.png",
    b"long/" + b"x" * 251 + b".PNG": "long/" + "x" * 251 + ".PNG",
}


class Ingested:
    """What ExampleGen made of an input.

    Args:
        folder: Where to work; `people` in it is the input, or `source` is.
    """

    def __init__(self, folder, source=None):
        component = ExampleGen(ExampleGen.Params(input=str(source or folder / "people")))
        outputs, self.counts = checks.run(component, {}, folder / "run")
        self.examples = outputs["examples"]
        found = [
            parse_example(one)
            for split in ("train", "eval")
            for shard in self.examples.shards(split)
            for one in records.read_records(shard)
        ]
        self.records = {one.filename: one for one in found}
        self.quarantine = dict(read_quarantine(self.examples.uri / "quarantine.csv"))
        assert len(self.records) == len(found)

    def reason(self, key):
        """The reason why something is no record, after a look at the books."""
        self._check_counts()
        assert key not in self.records
        return self.quarantine[key]

    def pixels(self, key):
        """The pixels of a record, after a look at the books."""
        self._check_counts()
        assert key not in self.quarantine
        record = self.records[key]
        pixels = decode_rgb(record.encoded)
        assert pixels.shape[:2] == (record.height, record.width)
        return pixels

    def _check_counts(self):
        counts = self.counts
        assert counts["found"] == counts["train"] + counts["eval"] + counts["quarantined"]
        assert counts["train"] + counts["eval"] == len(self.records)
        assert counts["quarantined"] == len(self.quarantine)


def rgb(grey):
    return np.dstack([grey] * 3)


def fill_with_bad_input(people):
    """Puts everything that is odd or bad beside five good people."""
    make_people(people)
    bad = people / "bad"
    bad.mkdir()
    content = {
        **bad_input(),
        "secret.png": encoded(photograph(10), "PNG"),
        "twin_b.png": encoded(photograph(11), "PNG"),
        "twin_a.png": encoded(photograph(11), "PNG"),
        "disputed.png": encoded(photograph(12), "PNG"),
    }
    for name, data in content.items():
        (bad / name).write_bytes(data)
    (bad / "up").symlink_to(people)
    (bad / "self.png").symlink_to("self.png")
    (bad / "nothing").mkdir()
    (people / "nobody").mkdir()
    (people / "lonely").mkdir()
    (people / "lonely" / "only.png").write_bytes(encoded(photograph(13), "PNG"))
    (people / "lonely" / "same.png").write_bytes(content["disputed.png"])
    for number, name in enumerate(ODD_NAMES):
        path = os.path.join(os.fsencode(people), name)
        os.makedirs(os.path.dirname(path))
        Path(os.fsdecode(path)).write_bytes(encoded(photograph(20 + number), "PNG"))


def forbid(monkeypatch, path):
    """Takes the right to read a file; root has to be tricked, rights do not bind it."""
    if os.geteuid():
        path.chmod(0)

    def guarded(name, *arguments):
        if name == bytes(path):
            raise PermissionError(errno.EACCES, "Permission denied", name)
        return open(name, *arguments)

    monkeypatch.setattr(references, "open", guarded, raising=False)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    fill_with_bad_input(folder / "people")
    with pytest.MonkeyPatch.context() as monkeypatch:
        forbid(monkeypatch, folder / "people" / "bad" / "secret.png")
        yield Ingested(folder)


def test_not_an_image(ingested):
    assert ingested.reason("bad/text.jpg").startswith("not an image of the kinds JPEG, PNG")


def test_truncated(ingested):
    assert ingested.reason("bad/truncated.jpg").startswith("truncated or damaged: ")


def test_zero_bytes(ingested):
    assert ingested.reason("bad/zero.png") == "zero bytes"


def test_one_pixel(ingested):
    expected = "too small: 1 x 1 pixels, expected at least 16 x 16"
    assert ingested.reason("bad/one_pixel.png") == expected


def test_decompression_bomb(ingested):
    reason = ingested.reason("bad/bomb.png")
    assert reason.startswith("too many pixels, expected at most 64000000 (max_pixels)")
    assert "2500000000" in reason


def test_cmyk(ingested):
    difference = ingested.pixels("bad/cmyk.jpg").astype(int) - PHOTO
    assert np.abs(difference).mean() < 4
    assert ingested.records["bad/cmyk.jpg"].format == "png"


def test_16_bit(ingested):
    np.testing.assert_array_equal(ingested.pixels("bad/wide.png"), rgb(GREY))


def test_grey(ingested):
    pixels = ingested.pixels("bad/grey.jpg")
    np.testing.assert_array_equal(pixels, decode_rgb(encoded(GREY, "JPEG")))
    assert np.abs(pixels.astype(int) - rgb(GREY)).mean() < 4
    assert ingested.records["bad/grey.jpg"].encoded == encoded(GREY, "JPEG")


def test_palette(ingested):
    expected = np.asarray(Image.fromarray(PHOTO).quantize(32).convert("RGB"))
    np.testing.assert_array_equal(ingested.pixels("bad/palette.png"), expected)


def test_animated(ingested):
    np.testing.assert_array_equal(ingested.pixels("bad/animated.webp"), PHOTO)


def test_exif_rotated(ingested):
    pixels = ingested.pixels("bad/rotated.jpg")
    assert pixels.shape == (20, 24, 3)
    lying = Image.fromarray(decode_rgb(encoded(PHOTO, "JPEG")))
    lying.getexif()[0x0112] = 6
    np.testing.assert_array_equal(pixels, np.asarray(ImageOps.exif_transpose(lying)))
    assert ingested.records["bad/rotated.jpg"].format == "png"


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_odd_file_name(ingested, name):
    key = ODD_NAMES[name]
    number = list(ODD_NAMES).index(name)
    np.testing.assert_array_equal(ingested.pixels(key), photograph(20 + number))
    assert ingested.records[key].identity == printable(name.partition(b"/")[0])


def test_unreadable_file(ingested):
    assert ingested.reason("bad/secret.png") == "cannot be read: Permission denied"


def test_symlink_loop(ingested):
    expected = "symbolic link loop: leads back to a folder above it"
    assert ingested.reason("bad/up") == expected
    expected = "cannot be opened: Too many levels of symbolic links"
    assert ingested.reason("bad/self.png") == expected


def test_identity_with_one_image(ingested):
    np.testing.assert_array_equal(ingested.pixels("lonely/only.png"), photograph(13))
    assert ingested.records["lonely/only.png"].identity == "lonely"


def test_empty_folder(ingested):
    assert ingested.reason("nobody") == "empty folder"
    assert ingested.reason("bad/nothing") == "empty folder"


def test_duplicate_files(ingested):
    np.testing.assert_array_equal(ingested.pixels("bad/twin_a.png"), photograph(11))
    assert ingested.reason("bad/twin_b.png") == "exact duplicate of 'bad/twin_a.png'"


def test_the_same_file_under_two_people(ingested):
    reason = "contradicting identities: the same bytes as "
    assert ingested.reason("bad/disputed.png") == reason + "'lonely/same.png' of 'lonely'"
    assert ingested.reason("lonely/same.png") == reason + "'bad/disputed.png' of 'bad'"


def test_nothing_else_was_refused(ingested):
    assert (ingested.counts["found"], ingested.counts["quarantined"]) == (42, 13)


def test_csv_with_a_missing_file(tmp_path):
    people = make_people(tmp_path / "people", 6)
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in people.rglob("*.png")]
    file = tmp_path / "list.csv"
    file.write_text("\n".join(["path,identity", *rows, "people/p0/gone.png,p0"]))
    ingested = Ingested(tmp_path, file)
    reason = "cannot be opened: No such file or directory"
    assert ingested.reason("people/p0/gone.png") == reason
    assert (len(ingested.records), ingested.counts["found"]) == (18, 19)
    np.testing.assert_array_equal(ingested.pixels("people/p3/1.png"), photograph(301))


def assert_one_clear_line(error, *parts):
    text = str(error.value)
    assert "\n" not in text and "Traceback" not in text and "while running" not in text
    for part in parts:
        assert part in text


def test_no_write_permission(tmp_path, monkeypatch):
    make_people(tmp_path / "people")
    mkdir = Path.mkdir

    def read_only(path, *arguments, **options):
        if path.name == "Split-train":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(ComponentError) as error:
        Ingested(tmp_path)
    place = str(tmp_path / "run" / "examples" / "Split-train")
    assert_one_clear_line(error, "ExampleGen", "Permission denied", place)


def test_no_write_permission_in_a_worker(tmp_path, monkeypatch):
    make_people(tmp_path / "people")

    def read_only(path, mode):
        if mode == "wb":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open(path, mode)

    monkeypatch.setattr(records, "open", read_only, raising=False)
    with pytest.raises(ComponentError) as error:
        Ingested(tmp_path)
    assert_one_clear_line(error, "ExampleGen", "Permission denied", "data_tfrecord-00000-of-00001")


def fill_the_disk(monkeypatch):
    """Lets every shard be written to a device that is always full."""
    monkeypatch.setattr(
        records,
        "open",
        lambda path, mode: open("/dev/full" if mode == "wb" else path, mode),
        raising=False,
    )


@pytest.mark.parametrize("num_images", [3, 300], ids=["at the end", "in the middle"])
def test_disk_full(tmp_path, monkeypatch, num_images, caplog):
    make_people(tmp_path / "people", 4, num_images)
    fill_the_disk(monkeypatch)
    with pytest.raises(ComponentError) as error:
        Ingested(tmp_path)
    assert_one_clear_line(error, "ExampleGen", "No space left on device")
    assert re.search(r"Split-\w+/data_tfrecord-0000\d-of-0000\d", str(error.value))
    assert not list((tmp_path / "run").rglob("data_tfrecord-*"))
    assert "Traceback" not in caplog.text


def test_disk_full_in_transform(tmp_path, monkeypatch):
    from tests.test_transform import good_inputs

    inputs = good_inputs(tmp_path)
    fill_the_disk(monkeypatch)
    with pytest.raises(ComponentError) as error:
        component = Transform(Transform.Params(), **checks.channels(Transform))
        checks.run(component, inputs, tmp_path / "run")
    assert_one_clear_line(error, "Transform", "No space left on device", "data_tfrecord-")


def test_a_mistake_in_the_code_is_not_taken_for_a_full_disk(tmp_path, monkeypatch):
    make_people(tmp_path / "people")

    def mistaken(*_, **__):
        raise KeyError("a mistake")

    monkeypatch.setattr("pipelines.components.example_gen.make_record", mistaken)
    with pytest.raises(KeyError, match="a mistake"):
        Ingested(tmp_path)


def test_the_error_of_a_worker_process_is_found_in_its_text():
    text = (
        "Traceback (most recent call last):\n  File ...\n"
        "OSError: [Errno 28] No space left on device\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        "OSError: [Errno 28] No space left on device: '/x/shard' [while running 'Write']\n"
    )
    with pytest.raises(ComponentError) as error, one_clear_line("ExampleGen"):
        raise RuntimeError(text)
    assert str(error.value) == (
        "ExampleGen could not read or write: [Errno 28] No space left on device: '/x/shard'. "
        "Mend that and run again."
    )
    with pytest.raises(RuntimeError, match="ValueError: bad"), one_clear_line("ExampleGen"):
        raise RuntimeError("Traceback\nValueError: bad [while running 'Write']")
