"""How a camera was held, read and undone inside a TensorFlow graph: what decoders leave out."""

from collections.abc import Callable, Sequence
from typing import Final

import tensorflow as tf

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_EXIF_HEADER: Final = b"Exif\0\0"
# Up to here a segment shows what it is; a PNG's chunk needs less.
_HEAD_SIZE: Final = 10
# The last two are wrong, and found in files; Pillow takes them.
_TIFF_HEADERS: Final = (b"II\x2a\0", b"MM\0\x2a", b"II\0\x2a", b"MM\x2a\0")
_ORIENTATION_TAG: Final = 0x0112
# Bytes of one value, by TIFF's number of its type.
_TYPE_SIZES: Final = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
# Number of bytes of whole numbers, and their types, as far as Pillow takes them.
_WHOLE_NUMBERS: Final = ((1, (6,)), (2, (3, 8)), (4, (4, 9, 13)))
_ENTRY_SIZE: Final = 12
# By orientation, 0 is none: rows and columns change places, then rows, then columns run backwards.
_TRANSPOSED: Final = (False, False, False, False, False, True, True, True, True)
_ROWS_TURNED: Final = (False, False, False, True, True, False, False, True, True)
_COLUMNS_TURNED: Final = (False, False, True, True, False, False, True, True, False)


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Reads the EXIF orientation of a picture, as `images.normalize` does.

    Args:
        encoded: string scalar, a JPEG or PNG.

    Returns:
        int64 scalar, 1 to 8: that of a JPEG's EXIF segment, or of a PNG's `eXIf` chunk before the
        pixels; 1 if there is none, or it is broken.

    Source:
        Exif 2.32, section 4.6.4 (orientation); TIFF 6.0, section 2; PNG, section 11.3.2.12.
    """
    is_png = tf.strings.substr(encoded, 0, len(PNG_SIGNATURE)) == PNG_SIGNATURE
    tiff = tf.cond(
        is_png,
        lambda: _exif(encoded, len(PNG_SIGNATURE), _read_chunk),
        lambda: _exif(encoded, 2, _read_segment),
    )
    return tf.cond(tiff == "", lambda: tf.constant(1, tf.int64), lambda: _orientation(tiff))


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors [H, W, C] as an EXIF orientation from 1 to 8 asks for."""
    is_transposed, *turned = (
        tf.gather(cases, orientation) for cases in (_TRANSPOSED, _ROWS_TURNED, _COLUMNS_TURNED)
    )
    image = tf.transpose(image, tf.where(is_transposed, [1, 0, 2], [0, 1, 2]))
    return tf.reverse(image, tf.boolean_mask([0, 1], tf.stack(turned)))


# How far it is to the next segment or chunk, 0 where the search ends; first byte and number of
# bytes of EXIF data in this one, 0 if it holds none.
_Step = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def _exif(encoded: tf.Tensor, first: int, read: Callable[[tf.Tensor], _Step]) -> tf.Tensor:
    """Walks over segments or chunks to the EXIF data; "" if there are none."""
    end = tf.cast(tf.strings.length(encoded), tf.int64) - _HEAD_SIZE
    zero = tf.constant(0, tf.int64)

    def step(_: tf.Tensor, position: tf.Tensor, *__: tf.Tensor) -> tuple[tf.Tensor, ...]:
        distance, start, size = read(_numbers(tf.strings.substr(encoded, position, _HEAD_SIZE)))
        is_last = (distance == 0) | (position + distance > end)
        return ~is_last, position + distance, position + start, size

    state = first <= end, tf.constant(first, tf.int64), zero, zero
    _, _, start, size = tf.while_loop(lambda goes_on, *_: goes_on, step, state)
    return tf.strings.substr(encoded, start, size)


def _read_segment(head: tf.Tensor) -> _Step:
    """Of a JPEG: 0xFF, marker, size of itself and what follows, big-endian."""
    marker, size = head[1], 256 * head[2] + head[3]
    is_exif = (marker == 0xE1) & tf.reduce_all(head[4:] == list(_EXIF_HEADER))
    # Scan data or the end of the picture come next, or nothing that can be understood.
    is_end = (head[0] != 0xFF) | (marker == 0xDA) | (marker == 0xD9)
    # Any number of 0xFF may stand before a marker.
    distance = tf.where(marker == 0xFF, tf.constant(1, tf.int64), size + 2)
    exif_size = tf.maximum(size - 2 - len(_EXIF_HEADER), 0)
    zero = tf.zeros_like(size)
    is_exif &= ~is_end
    return tf.where(is_end | is_exif, zero, distance), zero + 10, tf.where(is_exif, exif_size, 0)


def _read_chunk(head: tf.Tensor) -> _Step:
    """Of a PNG: size of the data, big-endian, name, data, checksum."""
    size = tf.reduce_sum(head[:4] * [1 << 24, 1 << 16, 1 << 8, 1])
    is_exif, is_pixels, is_end = (
        tf.reduce_all(head[4:8] == list(name)) for name in (b"eXIf", b"IDAT", b"IEND")
    )
    zero = tf.zeros_like(size)
    is_last = is_exif | is_pixels | is_end
    return tf.where(is_last, zero, size + 12), zero + 8, tf.where(is_exif, size, zero)


def _orientation(tiff: tf.Tensor) -> tf.Tensor:
    """Finds the tag in the first directory; the last one counts, as for Pillow."""
    size = tf.cast(tf.strings.length(tiff), tf.int64)
    # What is cut off reads as zero.
    data = tf.pad(_numbers(tiff), [[0, 2 * _ENTRY_SIZE]])
    is_little = data[0] == _TIFF_HEADERS[0][0]
    is_tiff = tf.reduce_any([tf.reduce_all(data[:4] == list(one)) for one in _TIFF_HEADERS])

    def number(place: tf.Tensor, num_bytes: int) -> tf.Tensor:
        digits = tf.gather(data, place[..., tf.newaxis] + tf.range(num_bytes, dtype=tf.int64))
        little = [256**power for power in range(num_bytes)]
        weights = tf.constant([little[::-1], little], tf.int64)
        return tf.reduce_sum(digits * tf.gather(weights, tf.cast(is_little, tf.int32)), axis=-1)

    directory = tf.minimum(number(tf.constant(4, tf.int64), 4), size)
    num_entries = tf.minimum(number(directory, 2), (size - directory - 2) // _ENTRY_SIZE)
    entry = directory + 2 + _ENTRY_SIZE * tf.range(tf.maximum(num_entries, 0))
    tag, kind, count, place = (number(entry + at, n) for at, n in ((0, 2), (2, 2), (4, 4), (8, 4)))
    kind = tf.where(kind < len(_TYPE_SIZES), kind, 0)
    value_size = count * tf.gather(tf.constant(_TYPE_SIZES, tf.int64), kind)
    # Pillow gives up at a value that lies behind the end.
    is_lost = (value_size > 4) & (place + value_size > size)
    is_read = tf.math.cumsum(tf.cast(is_lost, tf.int32)) == 0
    value_at = tf.where(value_size > 4, tf.minimum(place, size), entry + 8)
    value = tf.zeros_like(kind)
    for num_bytes, kinds in _WHOLE_NUMBERS:
        value = tf.where(_is_in(kind, kinds), number(value_at, num_bytes), value)
    found = tf.boolean_mask(value, (tag == _ORIENTATION_TAG) & (value_size > 0) & is_read & is_tiff)
    found = tf.concat([tf.ones([1], tf.int64), found], axis=0)[-1]
    return tf.where((found >= 1) & (found <= 8), found, tf.ones_like(found))


def _numbers(text: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int64)


def _is_in(values: tf.Tensor, some: Sequence[int]) -> tf.Tensor:
    return tf.reduce_any(values[:, tf.newaxis] == tf.constant(some, tf.int64), axis=1)
