"""Made-up photographs and folders of people for the tests of the data lane."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def photograph(seed: int, height: int = 24, width: int = 20, channels: int = 3) -> np.ndarray:
    """A smooth picture that no other seed gives: uint8 [H, W, 3], or [H, W] for one channel."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))
    return smooth if channels == 3 else np.ascontiguousarray(smooth[..., 0])


def encoded(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    """A picture as a file of some kind that Pillow writes."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_orientation(value: int) -> Image.Exif:
    """EXIF data that say how the camera was held."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def raw_png(width: int, height: int, bits: int, color_type: int, rows: bytes = b"") -> bytes:
    """A PNG of any kind, also those that Pillow does not write; `rows` with their filter bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def make_people(folder: Path, num_people: int = 5, num_images: int = 3) -> Path:
    """One folder per person, `p0/0.png` and so on; returns the folder."""
    for person in range(num_people):
        (folder / f"p{person}").mkdir(parents=True)
        for number in range(num_images):
            image = photograph(100 * person + number)
            (folder / f"p{person}" / f"{number}.png").write_bytes(encoded(image, "PNG"))
    return folder
