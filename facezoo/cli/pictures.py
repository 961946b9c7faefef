"""Photographs from files, decoded by the same function that fills the data sets."""

from pathlib import Path

import numpy as np

from facezoo.data.images import UnreadableImage, decode_rgb


def read_picture(path: str) -> np.ndarray:
    """Reads one photograph.

    Args:
        path: A file of any format that ExampleGen reads.

    Returns:
        uint8 [H, W, 3], RGB, upright.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no usable image.
    """
    try:
        return decode_rgb(Path(path).read_bytes())
    except UnreadableImage as error:
        raise ValueError(f"{path} is no usable image: {error}") from error
