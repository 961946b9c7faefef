"""The camera's orientation: the graph reads what `images.normalize` reads, broken data too."""

import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from facezoo.data.decode_safely import decode_upright
from facezoo.data.images import decode_rgb
from facezoo.data.upright import orientation
from tests.photographs import encoded, photograph, with_orientation

PHOTO = photograph(1)
JPEG, PNG = encoded(PHOTO, "JPEG"), encoded(PHOTO, "PNG")
JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"
SPEC = [tf.TensorSpec([], tf.string)]
read = tf.function(orientation, input_signature=SPEC, autograph=False)
decode = tf.function(decode_upright, input_signature=SPEC, autograph=False)


def tiff(order, *entries, count=None):
    """A directory; entries are (tag, type, count, four bytes of value)."""
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    body = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    number = len(entries) if count is None else count
    return header + struct.pack(order + "H", number) + body + bytes(4)


def short(order, value):
    return struct.pack(order + "HH", value, 0)


def segment(data, marker=0xE1):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg(data, before=b""):
    return JPEG[:2] + before + segment(b"Exif\0\0" + data) + JPEG[2:]


def chunk(data):
    name = b"eXIf"
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def asked(data):
    """Brought upright by either way, which must agree; returns the orientation found."""
    np.testing.assert_array_equal(decode(tf.constant(data)), decode_rgb(data))
    return int(read(tf.constant(data)))


def good(order="<", value=6):
    return tiff(order, (0x010F, 2, 4, b"abc\0"), (0x0112, 3, 1, short(order, value)))


# Loops, not parameters: what a test calls first is made ready again in every test.
def test_every_orientation():
    for kind in ("JPEG", "PNG"):
        for value in range(10):
            data = encoded(PHOTO, kind, exif=with_orientation(value))
            assert asked(data) == (value if 1 <= value <= 8 else 1), (kind, value)


def test_both_byte_orders():
    for order in "<>":
        assert asked(jpeg(good(order))) == 6
        assert asked(PNG[:33] + chunk(good(order)) + PNG[33:]) == 6


def test_what_stands_before():
    for before in (
        segment(b"comment", 0xFE),
        segment(JFIF, 0xE0) + segment(b"x" * 60_000, 0xE2) * 3,
        segment(b"http://ns.adobe.com/xap/1.0/\0 no EXIF"),
        b"\xff\xff\xff",
    ):
        assert asked(jpeg(good(), before)) == 6, before[:20]


def test_exif_behind_the_pixels_does_not_count():
    assert asked(PNG[:-12] + chunk(good()) + PNG[-12:]) == 1
    assert asked(JPEG + segment(b"Exif\0\0" + good())) == 1


def test_xmp_does_not_count():
    """Browsers do not look at it either."""
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
    assert asked(JPEG[:2] + segment(xmp) + JPEG[2:]) == 1


ODD = {
    "nothing": (b"", 1),
    "a header": (b"II*\0", 1),
    "text": (b"no TIFF at all", 1),
    "wrong header": (b"XX" + good()[2:], 1),
    "cut off": (good()[:30], 1),
    "too many entries": (tiff("<", (0x0112, 3, 1, short("<", 6)), count=9), 6),
    "four bytes": (tiff("<", (0x0112, 4, 1, struct.pack("<I", 6))), 6),
    "a large number": (tiff("<", (0x0112, 4, 1, struct.pack("<I", 2**31))), 1),
    "one byte": (tiff("<", (0x0112, 6, 1, b"\6\0\0\0")), 6),
    "text in the tag": (tiff("<", (0x0112, 2, 2, b"6\0\0\0")), 1),
    "no value": (tiff("<", (0x0112, 3, 0, short("<", 6))), 1),
    "two values": (tiff("<", (0x0112, 3, 2, short("<", 6))), 6),
    "twice": (tiff("<", (0x0112, 3, 1, short("<", 6)), (0x0112, 3, 1, short("<", 3))), 3),
    "unknown type": (tiff("<", (0x0112, 99, 1, short("<", 6))), 1),
    "a value behind the end": (
        tiff("<", (0x010E, 2, 900, short("<", 8)), (0x0112, 3, 1, short("<", 6))),
        1,
    ),
    "directory behind the end": (b"II*\0" + struct.pack("<I", 2**32 - 1) + good()[8:], 1),
}


# Pillow says so of each.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_and_odd_data():
    for name, (data, expected) in ODD.items():
        assert asked(jpeg(data)) == expected, name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_as_pillow_reads_damaged_data():
    random = np.random.default_rng(0)
    read_turned = set()
    for number in range(300):
        data = bytearray(good("<>"[number % 2], int(random.integers(1, 9))))
        for place in random.integers(0, len(data), random.integers(1, 4)):
            data[place] = random.choice([0, 1, 2, 3, 4, 6, 8, 9, 13, 0x12, 255])
        read_turned.add(asked(jpeg(bytes(data))))
    assert read_turned == set(range(1, 9))


def test_mirrored_and_turned_pixels():
    """The eight cases by hand: a letter F, upright."""
    upright = np.array([[1, 1], [1, 0]], np.uint8)
    stored = {
        1: [[1, 1], [1, 0]],
        2: [[1, 1], [0, 1]],
        3: [[0, 1], [1, 1]],
        4: [[1, 0], [1, 1]],
    }
    for value, pixels in stored.items():
        picture = Image.fromarray(np.array(pixels, np.uint8))
        data = encoded(picture, "PNG", exif=with_orientation(value))
        assert decode(tf.constant(data)).numpy()[..., 0].tolist() == upright.tolist()
