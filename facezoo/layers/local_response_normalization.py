"""Local response normalisation across channels, with the constants' convention written down."""

from typing import Any, ClassVar

import keras
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
        half, channels = self.size // 2, x.shape[-1]
        padded = ops.pad(ops.square(wide), [(0, 0), (0, 0), (0, 0), (half, half)])
        energy = sum(padded[..., start : start + channels] for start in range(self.size))
        scale = ops.power(self.bias + self.alpha / self.size * energy, -self.beta)
        return ops.cast(wide * scale, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "bias": self.bias,
        }
