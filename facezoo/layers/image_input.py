"""The input of every backbone, with the error for images that it cannot take."""

import keras

from facezoo import shapes
from facezoo.ops import Tensor


def image_input(image_shape: tuple[int, int, int], smallest: int) -> Tensor:
    """Makes the symbolic `image`.

    Args:
        image_shape: (height, width, channels), pixels.
        smallest: Rows and columns below which the network runs out of pixels.

    Returns:
        Keras input, float [B, H, W, 3].

    Raises:
        ValueError: The image is too small, or not RGB.
    """
    shape = tuple(image_shape)
    if len(shape) != 3 or shape[2] != shapes.NUM_CHANNELS:
        raise ValueError(
            f"image_shape must be (height, width, {shapes.NUM_CHANNELS}): the zoo's networks take "
            f"RGB. Received: {shape}. Repeat a grey picture along a last axis of "
            f"{shapes.NUM_CHANNELS}."
        )
    if min(shape[:2]) < smallest:
        raise ValueError(
            f"image_shape must have at least {smallest} pixels a side: below, this network's "
            f"strides leave nothing to pool. Received: {shape}. Enlarge the picture or take a "
            "smaller network."
        )
    return keras.Input(shape, name="image")
