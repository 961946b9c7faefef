"""Residual sum with a fixed factor in front of the branch."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from facezoo import registry
from facezoo.ops import Tensor


@registry.register("layer")
@keras.saving.register_keras_serializable("facezoo")
class ScaledAdd(keras.layers.Layer):
    """Adds a residual to its shortcut: `y = shortcut + scale * residual`.

    Args:
        scale: Factor of the residual, above 0; below 1 it keeps deep Inception networks stable.

    Call:
        inputs: `[shortcut, residual]`, float tensors of one shape.

    Returns:
        float, the same shape.

    Raises:
        ValueError: `scale` is out of range.

    Source:
        Inception-v4, arXiv 1602.07261, section 3.3.
    """

    SOURCE: ClassVar[str] = "Inception-v4, arXiv 1602.07261, section 3.3"
    TINY: ClassVar[dict[str, Any]] = {"scale": 0.5}

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not float(scale) > 0:
            raise ValueError(f"scale must be above 0. Received: scale={scale!r}.")
        self.scale = float(scale)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        shortcut, residual = inputs
        return shortcut + self.scale * residual

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}
