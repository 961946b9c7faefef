"""What robustness is measured against: each a way to spoil a picture, and how far it is taken."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from facezoo.data.images import resize

Picture = NDArray[np.uint8]


def recompress(image: Picture, quality: float) -> Picture:
    """Encodes uint8 [H, W, 3] as JPEG of that quality, 1 to 100, halving colour, and decodes it."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=round(quality), subsampling="4:2:0")
    return np.asarray(Image.open(buffer))


def resample(image: Picture, num_pixels: float) -> Picture:
    """Resizes uint8 [H, W, 3] to about that many pixels in all, in the same proportions."""
    height, width = image.shape[:2]
    factor = (num_pixels / (height * width)) ** 0.5
    return resize(image, *(max(1, round(side * factor)) for side in (height, width)))


def blur(image: Picture, percent: float) -> Picture:
    """Gaussian blur of uint8 [H, W, 3]; its standard deviation in percent of the shorter side."""
    sigma = percent / 100.0 * min(image.shape[:2])
    blurred = gaussian_filter(image.astype(np.float32), (sigma, sigma, 0.0), mode="nearest")
    return np.rint(blurred).astype(np.uint8)


def rotate(image: Picture, degrees: float) -> Picture:
    """Turns uint8 [H, W, 3] about its middle, counterclockwise; corners repeat the border."""
    margin = max(image.shape[:2]) // 4
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    turned = Image.fromarray(padded).rotate(degrees, Image.Resampling.BILINEAR)
    return np.asarray(turned)[margin:-margin, margin:-margin]


@dataclass(frozen=True)
class Sweep:
    """One way to spoil a picture, at several strengths.

    Args:
        name: In words.
        unit: Of the strength.
        values: The strengths.
        apply: (picture uint8 [H, W, 3], strength) -> picture.
        before_crop: Whether the whole picture is spoiled rather than what was cut out of it.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    apply: Callable[[Picture, float], Picture]
    before_crop: bool = False


# Qualities and pixels are those of FaceNet, arXiv 1503.03832, table 4.
SWEEPS: Final = (
    Sweep("JPEG quality", "quality", (10, 20, 30, 50, 70, 90), recompress),
    Sweep("Image size", "pixels", (1_600, 6_400, 14_400, 25_600, 65_536), resample),
    Sweep("Gaussian blur", "percent of the side", (1, 2, 3, 5), blur),
    Sweep("Rotation", "degrees", (5, 10, 20, 30), rotate, before_crop=True),
)
# FaceNet, table 5, trained a network for each; here the first numbers of one embedding are kept.
EMBEDDING_DIMS: Final = (16, 32, 64, 128, 256, 512)
