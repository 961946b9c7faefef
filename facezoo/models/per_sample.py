"""Losses that come per sample: weighted and reduced as Keras does, and over some of the samples."""

import keras
from keras import ops

from facezoo import shapes
from facezoo.ops import Tensor
from facezoo.replicas import gather_batch


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


def weight_of_kept(is_kept: Tensor) -> Tensor:
    """Returns weights with which the mean over all samples is the mean over those that are kept.

    Args:
        is_kept: float [B], 1 or 0. Under `tf.distribute`, this replica's.

    Returns:
        float [B]; zeros if nothing is kept.
    """
    (everyone,), _ = gather_batch(is_kept)
    num_samples = ops.cast(ops.size(everyone), is_kept.dtype)
    return is_kept * num_samples / ops.maximum(ops.sum(everyone), 1.0)
