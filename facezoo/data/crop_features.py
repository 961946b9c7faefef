"""What a face crop looks like from afar: where edges run which way, and where which colour is."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facezoo.data.images import resize

_SIDE: Final = 32
_CELL: Final = 4
_DIRECTIONS: Final = 8
_COLOR_SIDE: Final = 8
_NUM_CELLS: Final = _SIDE // _CELL
NUM_FEATURES: Final = _NUM_CELLS**2 * _DIRECTIONS + _COLOR_SIDE**2 * 3
# Edges weaker than this, in grey levels a pixel over the whole picture, are noise.
_FAINT: Final = 1.0
# Both halves have length 1; edges tell more, so that colours must not lead.
_COLOR_WEIGHT: Final = 0.2
_TILES: Final = 4


def crop_features(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Describes pictures, whatever their size, contrast and brightness.

    Args:
        images: uint8 [H, W, 3] each, RGB.

    Returns:
        float32 [N, NUM_FEATURES]: the square root of the share of each of 8 directions of edges in
        each of 8 x 8 cells; and 8 x 8 colours, less their mean, a fifth as long as the former.

    Source:
        N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005,
        section 6, with one block and signed directions.
    """
    small = np.stack([resize(image, _SIDE, _SIDE) for image in images]).astype(np.float32)
    return np.concatenate([_edges(small.mean(axis=-1)), _colors(small)], axis=1)


def _edges(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    down, right = np.gradient(grey, axis=(1, 2))
    length = np.hypot(down, right)
    direction = np.arctan2(down, right) % (2 * np.pi) * (_DIRECTIONS / (2 * np.pi))
    lower = np.floor(direction)
    share = direction - lower
    row, column = np.indices(grey.shape[1:]) // _CELL
    cell = np.arange(len(grey))[:, None, None] * _NUM_CELLS**2 + row * _NUM_CELLS + column
    found = np.zeros(len(grey) * _NUM_CELLS**2 * _DIRECTIONS)
    for step, weight in ((0, 1.0 - share), (1, share)):
        place = cell * _DIRECTIONS + (lower.astype(np.int64) + step) % _DIRECTIONS
        found += np.bincount(place.ravel(), (length * weight).ravel(), len(found))
    found = found.reshape(len(grey), -1)
    total = np.maximum(found.sum(axis=1, keepdims=True), _FAINT * _SIDE**2)
    return np.sqrt(found / total).astype(np.float32)


def _colors(small: NDArray[np.float32]) -> NDArray[np.float32]:
    size = _SIDE // _COLOR_SIDE
    color = small.reshape(len(small), _COLOR_SIDE, size, _COLOR_SIDE, size, 3).mean(axis=(2, 4))
    color = color.reshape(len(small), -1)
    color -= color.mean(axis=1, keepdims=True)
    length = np.linalg.norm(color, axis=1, keepdims=True)
    return _COLOR_WEIGHT * color / np.maximum(length, _FAINT * math.sqrt(color.shape[1]))


def spoil(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Does to a good crop what goes wrong elsewhere; what is cut off cannot come back.

    Args:
        image: uint8 [H, W, 3].
        random: Draws which of: turned by a quarter or half, tilted, the face too small, too large,
            off the middle, red and blue exchanged, in pieces.

    Returns:
        uint8 [h, w, 3].
    """
    way = _WAYS[random.integers(len(_WAYS))]
    return np.ascontiguousarray(way(image, random))


def _turned(image: NDArray, random: np.random.Generator) -> NDArray:
    return np.rot90(image, random.integers(1, 4))


def _tilted(image: NDArray, random: np.random.Generator) -> NDArray:
    angle = random.uniform(25.0, 60.0) * random.choice((-1, 1))
    return np.asarray(Image.fromarray(image).rotate(angle, Image.Resampling.BILINEAR))


def _too_small(image: NDArray, random: np.random.Generator) -> NDArray:
    height, width = _shares(image, random.uniform(0.25, 0.6))
    return np.pad(image, ((height, height), (width, width), (0, 0)), "reflect")


def _too_large(image: NDArray, random: np.random.Generator) -> NDArray:
    height, width = _shares(image, random.uniform(0.15, 0.3))
    return image[height : len(image) - height, width : image.shape[1] - width]


def _off_the_middle(image: NDArray, random: np.random.Generator) -> NDArray:
    height, width = _shares(image, 0.5)
    around = np.pad(image, ((height, height), (width, width), (0, 0)), "reflect")
    down, right = random.uniform(0.15, 0.4, 2) * random.choice((-1, 1), 2)
    top, left = height + round(len(image) * down), width + round(image.shape[1] * right)
    return around[top : top + len(image), left : left + image.shape[1]]


def _exchanged(image: NDArray, random: np.random.Generator) -> NDArray:
    return image[..., ::-1]


def _in_pieces(image: NDArray, random: np.random.Generator) -> NDArray:
    image = resize(image, _SIDE, _SIDE)
    side = _SIDE // _TILES
    tiles = image.reshape(_TILES, side, _TILES, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    tiles = random.permutation(tiles).reshape(_TILES, _TILES, side, side, 3)
    return tiles.swapaxes(1, 2).reshape(_SIDE, _SIDE, 3)


def _shares(image: NDArray, share: float) -> Sequence[int]:
    return [round(side * share) for side in image.shape[:2]]


_WAYS: Final = (
    _turned,
    _tilted,
    _too_small,
    _too_large,
    _off_the_middle,
    _exchanged,
    _in_pieces,
)
