"""Packs: every way to write one is read, and none that could run code."""

import builtins
import collections
import functools
import os
import pickle
import pickletools
import random
import subprocess

import numpy as np
import pytest

from facezoo import protocols
from facezoo.protocols.pack_content import read_pack_content
from facezoo.protocols.plain_pickle import read_plain

IMAGES = [bytes(range(256)) * 2 + bytes([number]) for number in range(8)]
SAME = [True, False, True, False]


def write(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def as_arrays(dtype=np.uint8, shape=(-1,)):
    return [np.frombuffer(image, dtype).reshape(shape) for image in IMAGES]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "content",
    [
        (IMAGES, SAME),
        (tuple(IMAGES), np.array(SAME)),
        (as_arrays(), [np.bool_(same) for same in SAME]),
        (as_arrays(shape=(-1, 1)), [int(same) for same in SAME]),
        ([np.array(image) for image in as_arrays()], SAME),
    ],
    ids=["bytes", "array of labels", "arrays", "columns", "copies"],
)
def test_every_way_to_write_a_pack_is_read(tmp_path, content, protocol):
    assert read_pack_content(write(tmp_path / "a.bin", content, protocol)) == (IMAGES, SAME)


def test_bytearrays_are_read(tmp_path):
    content = ([bytearray(image) for image in IMAGES], SAME)
    assert read_pack_content(write(tmp_path / "a.bin", content, 5)) == (IMAGES, SAME)


# `pickle.dumps((["\xff\xd8a", "\xff\xd8b"], [True]), 2)` of Python 2.7, which wrote the same list
# of bytes as SHORT_BINSTRING, and a longer one as BINSTRING.
PYTHON_2 = b"\x80\x02]q\x00(U\x03\xff\xd8aq\x01U\x03\xff\xd8bq\x02e]q\x03\x88a\x86q\x04."
PYTHON_2_LONG = PYTHON_2.replace(b"U\x03\xff", b"T\x03\x00\x00\x00\xff")


@pytest.mark.parametrize("content", [PYTHON_2, PYTHON_2_LONG])
def test_a_pack_of_python_2_is_read(tmp_path, content):
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    assert pickle.loads(content, encoding="bytes") == ([b"\xff\xd8a", b"\xff\xd8b"], [True])
    assert read_pack_content(path) == ([b"\xff\xd8a", b"\xff\xd8b"], [True])


class Attack:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


ATTACKS = {
    "system": (Attack(os.system, "touch made"), rf"{os.system.__module__}.system"),
    "eval": (Attack(builtins.eval, "open('made', 'w')"), r"\w+.eval"),
    "popen": (Attack(subprocess.Popen, ["touch", "made"]), r"\w+.Popen"),
    "partial": (Attack(functools.partial, os.system, "x"), r"functools.partial"),
    "getattr": (Attack(getattr, IMAGES, "clear"), r"\w+.getattr"),
    "ordered": (collections.OrderedDict(a=1), r"collections.OrderedDict"),
    "NumPy's own": (Attack(np.load, "made"), r"numpy.load"),
    "object array": (np.array([Attack(os.system, "touch made")], object), r"\w+.system"),
}


def test_unpickling_would_run_the_attack(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(ATTACKS["system"][0]))
    assert os.listdir() == ["made"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("place", ["whole", "image", "labels", "label"])
def test_a_pack_that_would_run_code_is_refused(tmp_path, monkeypatch, name, place, protocol):
    monkeypatch.chdir(tmp_path)
    attack, message = ATTACKS[name]
    content = {
        "whole": attack,
        "image": ([attack, *IMAGES[1:]], SAME),
        "labels": (IMAGES, attack),
        "label": (IMAGES, [*SAME[1:], attack]),
    }[place]
    path = write(tmp_path / "a.bin", content, protocol)
    with pytest.raises(ValueError, match=rf"a.bin asks for {message},.*Nothing of it was run"):
        read_pack_content(path)
    assert os.listdir() == ["a.bin"]


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (b"(S'touch made'\nios\nsystem\n.", "INST"),
        (b"(cos\nsystem\nS'touch made'\no.", "os.system"),
        (b"\x80\x02c__builtin__\nbytes\n)\x81.", "NEWOBJ"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"Psecret\n.", "PERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02c_codecs\nencode\nq\x00X\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.", "encode"),
        # A state for the function itself, which would change what it does for everybody.
        (b"\x80\x02c_codecs\nencode\n}b.", "EMPTY_DICT"),
        (b"\x80\x02c_codecs\nencode\n)b.", "the state of"),
        (b"\x80\x02X\x01\x00\x00\x00a)R.", "a call of a str"),
        (b"\x80\x02c_codecs\nencode\n)R)R.", "a call of a Call"),
        (b"\x80\x02cnumpy._core.multiarray\n_reconstruct.__globals__\n.", "__globals__"),
    ],
)
def test_opcodes_that_no_pack_needs_are_refused(tmp_path, content, asked):
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="a.bin") as raised:
        read_pack_content(path)
    if asked != "encode":  # It is a call of what packs need, only not in the place of two lists.
        assert asked in str(raised.value)


def test_an_encoding_other_than_latin_1_is_refused(tmp_path):
    attack = Attack(__import__("_codecs").encode, "text", "zip")
    path = write(tmp_path / "a.bin", ([attack, *IMAGES[1:]], SAME), protocol=2)
    with pytest.raises(ValueError, match="asks for _codecs.encode"):
        read_pack_content(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((IMAGES, SAME, []), "not two lists but a tuple of 3"),
        (IMAGES, "a list of 8"),
        ((IMAGES[:-1], SAME), "two images per pair. Received: 7 images and 4 pairs"),
        (([*IMAGES[:-1], b""], SAME), "image 7 is empty"),
        (([*IMAGES[:-1], None], SAME), "a NoneType stands where an image"),
        (([*IMAGES[:-1], "text"], SAME), "a str stands where an image"),
        ((IMAGES, [*SAME[:-1], 2]), "label 3 is a int"),
        ((IMAGES, [*SAME[:-1], None]), "label 3 is a NoneType"),
        ((IMAGES, [*SAME[:-1], np.uint8(1)]), r"label 3 is a numpy\.\S*scalar"),
        ((IMAGES, [*SAME[:-1], IMAGES]), "label 3 is a list of 8"),
        ((IMAGES, np.arange(4)), "array of i8"),
        ((as_arrays(np.int8), SAME), r"image 0 is an array of i1 \[513\]"),
        (([np.zeros((4, 4, 3), np.uint8)] * 8, SAME), r"array of u1 \[4, 4, 3\], not the bytes"),
        ((IMAGES, b"text"), "stands where an image or a list is needed"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_a_pickle_that_is_no_pack_is_an_error(tmp_path, content, message, protocol):
    with pytest.raises(ValueError, match=message):
        read_pack_content(write(tmp_path / "a.bin", content, protocol))


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_damage_never_raises_anything_but_an_explanation(tmp_path, protocol):
    whole = pickle.dumps(([np.zeros(3, np.uint8), b"ab"], [np.bool_(True)]), protocol)
    generator = random.Random(0)
    damaged = [whole[:length] for length in range(len(whole))]
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(generator.randint(1, 3)):
            content[generator.randrange(len(content))] = generator.randrange(256)
        damaged.append(bytes(content))
    path, num_refused = tmp_path / "a.bin", 0
    for content in damaged:
        path.write_bytes(content)
        try:
            read_pack_content(path)
        except ValueError as error:
            assert "a.bin" in str(error)
            num_refused += 1
    assert num_refused > len(whole)


def test_the_machine_follows_pickle():
    nested = ([(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], None, 2**40, -7, "Zoë", b"\xff", [[]])
    shared = ["x"]
    for value in (nested, (shared, shared), [], list(range(2000))):
        for protocol in range(3 if b"\xff" in value else 0, pickle.HIGHEST_PROTOCOL + 1):
            content = pickle.dumps(value, protocol)
            expected = value
            for one in (content, pickletools.optimize(content)):
                assert read_plain(one, lambda name: False) == expected


def published(num_pairs=6000, num_folds=10):
    """A pack of a published size; its images are numbers."""
    half = num_pairs // num_folds // 2
    images = [number.to_bytes(4, "big") for number in range(2 * num_pairs)]
    return images, ([True] * half + [False] * half) * num_folds


def test_a_published_pack_has_ten_folds_in_order(tmp_path):
    images, same = published()
    protocol, source = protocols.read("pack", write(tmp_path / "agedb_30.bin", (images, same)))
    assert (protocol.name, protocol.num_images) == ("pack_agedb_30", 12_000)
    assert (protocol.num_genuine, protocol.num_impostor) == (3_000, 3_000)
    np.testing.assert_array_equal(protocol.fold, np.repeat(np.arange(10), 600))
    np.testing.assert_array_equal(protocol.pair, np.arange(12_000).reshape(-1, 2))
    assert protocol.num_people is None
    source.check(protocol.image)
    assert [source.read(name) for name in protocol.image] == images


@pytest.mark.parametrize("name", ["lfw", "calfw", "cplfw", "cfp_ff", "cfp_fp"])
def test_a_part_of_a_published_pack_may_not_bear_its_name(tmp_path, name):
    whole = published(7000 if name.startswith("cfp") else 6000)
    protocol, _ = protocols.read_pack(write(tmp_path / f"{name}.bin", whole))
    assert protocol.num_folds == 10
    images, same = published(100)
    with pytest.raises(ValueError, match=r"of [67],000 pairs.*Received: 100 pairs, 50 of them"):
        protocols.read_pack(write(tmp_path / f"{name}.bin", (images, same)))
    protocol, _ = protocols.read_pack(write(tmp_path / "part.bin", (images, same)))
    assert (protocol.name, protocol.num_folds) == ("pack_part", 10)
    flipped = [True, *whole[1][:-1]]
    with pytest.raises(ValueError, match="of them genuine"):
        protocols.read_pack(write(tmp_path / f"{name}.bin", (whole[0], flipped)))


@pytest.mark.parametrize("same", [[True] * 10 + [False] * 10, SAME, [True, False] * 11])
def test_a_pack_in_another_order_has_no_folds(tmp_path, same):
    images = [bytes([number]) for number in range(2 * len(same))]
    protocol, _ = protocols.read_pack(write(tmp_path / "mine.bin", (images, same)))
    assert protocol.fold is None


def test_the_images_of_another_pack_do_not_pass(tmp_path):
    protocol, _ = protocols.read_pack(write(tmp_path / "mine.bin", (IMAGES, SAME)))
    source = protocols.open_images(tmp_path / "mine.bin")
    assert [source.read(name) for name in protocol.image] == IMAGES
    other = write(tmp_path / "other.bin", ([*IMAGES[:-1], b"another"], SAME))
    with pytest.raises(FileNotFoundError, match="1 of 8 images are not in the pack of 8: 000007-"):
        protocols.open_images(other).check(protocol.image)
    with pytest.raises(FileNotFoundError, match="1 of 1"):
        source.read("000008")
