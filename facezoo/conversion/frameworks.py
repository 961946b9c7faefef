"""How each framework names the weights of a layer and orders the axes of its kernels."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import keras
import numpy as np


class Framework(NamedTuple):
    """Naming and axes of one framework.

    Args:
        separator: Between a layer's name and a weight's.
        weights: Keras' name of a weight to the framework's, where the two differ.
        channels_first: Whether kernels are (out, in, rows, columns) instead of Keras'
            (rows, columns, in, out).
    """

    separator: str
    weights: Mapping[str, str]
    channels_first: bool

    def array_name(self, prefix: str, weight: str) -> str:
        """Returns the array's name for a layer's prefix and Keras' name of the weight."""
        return f"{prefix}{self.separator}{self.weights.get(weight, weight)}"

    def to_keras(
        self, array: np.ndarray, layer: keras.layers.Layer, map_size: tuple[int, int]
    ) -> np.ndarray:
        """Orders an array's axes as the Keras layer wants them.

        Args:
            array: As the framework keeps it.
            layer: Keras layer that it belongs to.
            map_size: Rows and columns of the map that a dense layer sees flattened; (1, 1) if it
                sees one number per channel.

        Returns:
            The array; one of an unforeseen rank comes back as it is, and will not fit.
        """
        if not self.channels_first:
            return array
        if isinstance(layer, keras.layers.PReLU) and array.ndim == 1:
            return array[np.newaxis, np.newaxis]
        if isinstance(layer, keras.layers.DepthwiseConv2D) and array.ndim == 4:
            return array.transpose(2, 3, 0, 1)
        if isinstance(layer, keras.layers.Conv2D) and array.ndim == 4:
            return array.transpose(2, 3, 1, 0)
        if isinstance(layer, keras.layers.Dense) and array.ndim in (2, 4):
            return _dense(array, *map_size)
        return array


def _dense(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """A (out, channels * rows * columns) kernel, or that of a 1x1 convolution, to Keras'."""
    outputs = len(array)
    channels = array.size // max(1, outputs * rows * columns)
    if outputs * channels * rows * columns != array.size:
        return array
    by_position = array.reshape(outputs, channels, rows, columns)
    return by_position.transpose(2, 3, 1, 0).reshape(-1, outputs)


PYTORCH: Final = Framework(
    separator=".",
    weights={
        "kernel": "weight",
        "gamma": "weight",
        "alpha": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    },
    channels_first=True,
)
MXNET: Final = Framework(
    separator="_",
    weights={"kernel": "weight", "alpha": "gamma", "moving_variance": "moving_var"},
    channels_first=True,
)
SLIM: Final = Framework(
    separator="/", weights={"kernel": "weights", "bias": "biases"}, channels_first=False
)
KERAS: Final = Framework(separator="_", weights={}, channels_first=False)
