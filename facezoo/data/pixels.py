"""A record's picture to pixels in NumPy, equal to what TensorFlow's graph makes of it."""

import functools
import io

import numpy as np
import simplejpeg
from PIL import Image

_JPEG = b"\xff\xd8"


def decode_stored(encoded: bytes) -> np.ndarray:
    """Decodes a record's picture.

    Args:
        encoded: JPEG or PNG, 8 bits, grey or RGB, as `FaceRecord` holds it.

    Returns:
        uint8 [H, W, 3], RGB, bit by bit what `decode.decode_image` returns.

    Raises:
        ValueError: The bytes are no such picture, or damaged.
    """
    if encoded.startswith(_JPEG):
        try:
            return simplejpeg.decode_jpeg(encoded, "RGB")
        except ValueError as error:
            # Turbojpeg refuses rare subsamplings that libjpeg, in Pillow, decodes.
            if "subsampling" not in str(error):
                raise
    with Image.open(io.BytesIO(encoded), formats=["JPEG", "PNG"]) as image:
        return np.asarray(image.convert("RGB"))


def resize_like_graph(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes uint8 [H, W, 3] as `decode.resize` does, bilinear with antialiasing.

    Returns:
        float32 [height, width, 3] in [0, 255].
    """
    image = _resize_rows(image.astype(np.float32), height)
    image = _resize_rows(np.ascontiguousarray(image.transpose(1, 0, 2)), width)
    return np.clip(image.transpose(1, 0, 2), 0.0, 255.0)


def _resize_rows(image: np.ndarray, height: int) -> np.ndarray:
    # No matrix product: its own threads would fight with those that read.
    rows, weights = _taps(len(image), height)
    total = image[rows[0]] * weights[0]
    for row, weight in zip(rows[1:], weights[1:], strict=True):
        total += image[row] * weight
    return total


@functools.lru_cache(64)
def _taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns what a new row is made of: old rows int [T, new], weights float32 [T, new, 1, 1]."""
    scale = old / new
    centre = (np.arange(new) + 0.5) * scale - 0.5
    # A triangle, as wide as a new pixel where they are larger than the old ones.
    distance = np.abs(centre[:, None] - np.arange(old)) / max(scale, 1.0)
    weights = np.maximum(1.0 - distance, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    num_taps = int(np.count_nonzero(weights, axis=1).max())
    first = np.minimum((weights > 0.0).argmax(axis=1), old - num_taps)
    rows = first[:, None] + np.arange(num_taps)
    taken = np.take_along_axis(weights, rows, axis=1).astype(np.float32)
    return rows.T.copy(), taken.T[:, :, None, None].copy()
