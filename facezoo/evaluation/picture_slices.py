"""Tells pairs apart by what their pictures look like, so that a score can be broken down."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import laplace

from facezoo.data.pixels import resize_like_graph
from facezoo.data.test_time import TestTime
from facezoo.evaluation.system import Picture
from facezoo.protocols import Protocol

# Measured on one size, so that sharpness means the same for large and small pictures.
_SIDE = 64
_NAMES = ("brightness of the darker", "contrast of the flatter", "sharpness of the softer")
# In this order when they are sorted.
_THIRDS = ("lowest third", "middle third", "top third")


def measure(picture: Picture) -> tuple[float, float, float]:
    """Returns brightness (mean grey, 0 to 255), contrast and sharpness of one picture.

    Contrast is the standard deviation of grey, and sharpness that of its Laplacian, on 64 x 64
    pixels.
    """
    grey = resize_like_graph(picture, _SIDE, _SIDE).mean(axis=-1)
    return float(grey.mean()), float(grey.std()), float(laplace(grey).std())


def sort_into_thirds(
    measured: NDArray[np.float64], pair: NDArray[np.int64]
) -> dict[str, NDArray[np.str_]]:
    """Sorts pairs into thirds by the worse of their two sides, for each thing measured.

    Args:
        measured: float [M, 3], what `measure` returned for each side; of several pictures the mean.
        pair: int [P, 2], two sides each.

    Returns:
        Text [P] by name: the darker, the flatter and the more blurred of the two sides of a pair,
        each compared with those of the other pairs.
    """
    slices = {}
    for name, values in zip(_NAMES, measured.T, strict=True):
        worse = values[pair].min(axis=1)
        third = np.searchsorted(np.quantile(worse, (1 / 3, 2 / 3)), worse, side="left")
        slices[name] = np.array(_THIRDS)[third]
    return slices


def picture_slices(
    protocol: Protocol, pictures: Iterable[Picture], test_time: TestTime
) -> dict[str, NDArray[np.str_]]:
    """Sorts the pairs of a protocol into thirds by their worse picture.

    Args:
        protocol: Its pairs.
        pictures: uint8 [H, W, 3], all images of the protocol in order.
        test_time: What is looked at is the first view.

    Returns:
        See `sort_into_thirds`. A template is the mean of its images.
    """
    measured = np.array([measure(test_time.views(picture)[0]) for picture in pictures])
    size = np.bincount(protocol.member_template)
    template = [
        np.bincount(protocol.member_template, values[protocol.member_image]) / size
        for values in measured.T
    ]
    return sort_into_thirds(np.stack(template, axis=1), protocol.pair)
