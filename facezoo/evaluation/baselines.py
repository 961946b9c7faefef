"""Baselines that learned nothing, so that every score has something beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.feature import hog, local_binary_pattern

from facezoo.data.pixels import resize_like_graph
from facezoo.evaluation.embedding import pixel_embedding

# Side of the grey picture that gradients and patterns are taken from, and of one cell, pixels.
_SIDE = 64
_CELL = 8
_ORIENTATIONS = 9
_BLOCK = 2
# Neighbours of a pixel and how far away they are; so many make 59 patterns (58 uniform, one rest).
_NEIGHBOURS, _RADIUS, _NUM_PATTERNS = 8, 2, 59
# ITU-R BT.601, as JPEG and Pillow make grey of RGB.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Baseline:
    """A way from images to embeddings without a network.

    Args:
        name: In words, for reports.
        embed: float32 [B, H, W, 3] in [0, 255] to float32 [B, D]: rows of unit length, so that
            squared L2 distances mean what they mean for a model, or of zeros.
    """

    name: str
    embed: Callable[[ArrayLike], NDArray[np.float32]]


def hog_embedding(image: ArrayLike) -> NDArray[np.float32]:
    """Histograms of oriented gradients: where in the picture edges run in which direction.

    The picture becomes 64 x 64 grey pixels: 8 x 8 cells of 9 directions, normalised in blocks of
    2 x 2 cells (`L2-Hys`), together at unit length. No entry is negative, so that no distance
    exceeds 2. The mean is left in: without it LFW's AUC moved by less than 0.01, up or down.

    Args:
        image: float32 [B, H, W, 3] in [0, 255], RGB.

    Returns:
        float32 [B, 1764]; an image of one colour gives zeros.

    Raises:
        ValueError: The image has another shape, or is not finite.

    Source:
        N. Dalal, B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005,
        section 6.
    """
    return _unit([_gradients(grey) for grey in _grey(image)], (_SIDE // _CELL - 1) ** 2 * 36)


def lbp_embedding(image: ArrayLike) -> NDArray[np.float32]:
    """Histograms of local binary patterns: which neighbours of a pixel are brighter than it.

    The picture becomes 64 x 64 grey pixels: 8 x 8 cells with a histogram of 59 patterns each. Of
    the shares the root is taken, so that the squared distance of two pictures is twice the squared
    Hellinger distance of their histograms, averaged over the cells; no distance exceeds 2.

    Args:
        image: float32 [B, H, W, 3] in [0, 255], RGB.

    Returns:
        float32 [B, 3776], unit length; all images of one colour give the same vector.

    Raises:
        ValueError: The image has another shape, or is not finite.

    Source:
        T. Ahonen, A. Hadid, M. Pietikainen, "Face recognition with local binary patterns", ECCV
        2004, section 2.
    """
    num_cells = (_SIDE // _CELL) ** 2
    return _unit([_patterns(grey) for grey in _grey(image)], num_cells * _NUM_PATTERNS)


BASELINES: Final[Mapping[str, Baseline]] = {
    "pixels": Baseline("raw pixels", pixel_embedding),
    "hog": Baseline("histograms of oriented gradients", hog_embedding),
    "lbp": Baseline("local binary patterns", lbp_embedding),
}


def _grey(image: ArrayLike) -> list[NDArray[np.uint8]]:
    image = np.asarray(image, dtype=np.float32)
    if image.ndim != 4 or image.shape[-1] != 3 or 0 in image.shape[1:]:
        raise ValueError(f"image must be [B, H, W, 3], channels last. Received: {image.shape}.")
    if not np.isfinite(image).all():
        raise ValueError("image must be finite, in [0, 255]. Received: NaN or infinity.")
    small = (resize_like_graph(one, _SIDE, _SIDE) for one in image)
    # Whole numbers: rounding errors of a flat picture would make patterns and directions.
    return [np.rint(one @ _LUMA).astype(np.uint8) for one in small]


def _gradients(grey: NDArray[np.uint8]) -> NDArray:
    cell, block = (_CELL, _CELL), (_BLOCK, _BLOCK)
    return hog(grey, _ORIENTATIONS, pixels_per_cell=cell, cells_per_block=block)


def _patterns(grey: NDArray[np.uint8]) -> NDArray:
    """The root of each cell's histogram; every pixel counts once."""
    # Beyond the edge scikit-image sees black, which a dark picture is as bright as.
    wide = np.pad(grey, _RADIUS, mode="edge")
    pattern = local_binary_pattern(wide, _NEIGHBOURS, _RADIUS, "nri_uniform").astype(np.intp)
    pattern = pattern[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
    row, column = np.indices(grey.shape) // _CELL
    place = (row * (_SIDE // _CELL) + column) * _NUM_PATTERNS + pattern
    return np.sqrt(np.bincount(place.ravel(), minlength=_SIDE**2 // _CELL**2 * _NUM_PATTERNS))


def _unit(rows: list[NDArray], length: int) -> NDArray[np.float32]:
    # Given, because no row says how long it would be.
    features = np.asarray(rows, dtype=np.float32).reshape(len(rows), length)
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    return np.divide(features, norm, out=np.zeros_like(features), where=norm > 0)
