"""Local response normalisation across channels, with the constants' convention written down."""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from facezoo import registry
from facezoo.ops import Tensor


@registry.register("layer")
@keras.saving.register_keras_serializable("facezoo")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by a power of the energy in the channels around it.

    `y_c = x_c / (bias + alpha / size * sum over |k - c| <= size // 2 of x_k^2) ** beta`

    Args:
        size: Number of channels in the window, odd.
        alpha: Weight of the window's energy, as Caffe and Torch count it: **divided by `size`**.
            TensorFlow's op is not: its alpha is `alpha / size`.
        beta: Exponent.
        bias: Added to the energy.

    Call:
        x: float [B, H, W, C].

    Returns:
        float [B, H, W, C].

    Raises:
        ValueError: `size` is even.

    Numerics:
        float32 inside.

    Source:
        AlexNet, section 3.3; constants as in OpenFace's nn2 and nn4 definitions.
    """

    SOURCE: ClassVar[str] = "Krizhevsky et al. 2012, section 3.3; constants of OpenFace nn4"
    TINY: ClassVar[dict[str, Any]] = {"size": 3}

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        bias: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if size % 2 == 0:
            raise ValueError(f"size must be odd, to have a centre. Received: size={size}.")
        self.size = int(size)
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.bias = float(bias)

    def call(self, x: Tensor) -> Tensor:
        wide = ops.cast(x, "float32")
        # A product with a band of ones adds up the neighbours several times faster than slices.
        energy = ops.matmul(ops.square(wide), self._band(x.shape[-1]))
        return ops.cast(wide * self._power(self.bias + energy), self.compute_dtype)

    def _band(self, channels: int) -> np.ndarray:
        position = np.arange(channels)
        near = np.abs(position[:, None] - position) <= self.size // 2
        return np.float32(self.alpha / self.size) * near.astype("float32")

    def _power(self, x: Tensor) -> Tensor:
        if self.beta != 0.75:
            return ops.power(x, -self.beta)
        root = ops.rsqrt(x)
        return root * ops.sqrt(root)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "bias": self.bias,
        }
