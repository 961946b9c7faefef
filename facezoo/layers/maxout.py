"""Maxout: a dense layer whose activation is the largest of several linear answers."""

from typing import Any, ClassVar

import keras
from keras import ops

from facezoo import registry
from facezoo.ops import Tensor


@registry.register("layer")
@keras.saving.register_keras_serializable("facezoo")
class MaxoutDense(keras.layers.Layer):
    """Gives per unit the largest of `pieces` linear functions of the input.

    `y_u = max over k < pieces of (x . W_(u, k) + b_(u, k))`

    Args:
        units: Outputs, at least 1.
        pieces: Linear functions per output, at least 1 (1 is a linear layer).

    Call:
        x: float [B, D].

    Returns:
        float [B, units].

    Raises:
        ValueError: An argument is below 1.

    Numerics:
        Where pieces are equal, they share the gradient.

    Source:
        Maxout networks, arXiv 1302.4389, section 2; FaceNet, arXiv 1503.03832, table 1 (`p=2`).
    """

    SOURCE: ClassVar[str] = "Maxout networks, arXiv 1302.4389, section 2"
    TINY: ClassVar[dict[str, Any]] = {"units": 4}

    def __init__(self, units: int, pieces: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("units", units), ("pieces", pieces)):
            if int(value) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={value!r}.")
        self.units = int(units)
        self.pieces = int(pieces)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        outputs = self.units * self.pieces
        self.kernel = self.add_weight(
            shape=(input_shape[-1], outputs), initializer="he_normal", name="kernel"
        )
        self.bias = self.add_weight(shape=(outputs,), initializer="zeros", name="bias")
        super().build(input_shape)

    def call(self, x: Tensor) -> Tensor:
        # [B, units * pieces]: a unit's pieces stand side by side.
        linear = ops.matmul(x, self.kernel) + self.bias
        return ops.max(ops.reshape(linear, (-1, self.units, self.pieces)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "pieces": self.pieces}
