"""Losses that come per sample already: weighted and reduced as Keras does its own."""

import keras

from facezoo import shapes
from facezoo.ops import Tensor


class _PerSample(keras.losses.Loss):
    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return y_pred


def weighted_mean(values: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    """Reduces per-sample losses to what `compute_loss` may add to the compiled loss.

    Exact on one replica and on several. `add_loss` would not do: it knows no weights, and Keras'
    trainer on JAX drops what is added inside `compute_loss`.

    Args:
        values: float [B].
        sample_weight: float [B], or None for 1.

    Returns:
        Scalar.
    """
    return _PerSample(name="per_sample", dtype=shapes.FLOAT)(values, values, sample_weight)
