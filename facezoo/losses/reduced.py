"""Another mean for a loss on embeddings: over the samples that err, or class by class."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.contracts import EmbeddingLoss
from facezoo.ops import Tensor


def shares_of_mean(values: Tensor, label: Tensor, is_counted: Tensor, per_class: bool) -> Tensor:
    """Rescales values so that their plain mean is the mean over some of them.

    Args:
        values: float32 [B].
        label: [B], equal numbers for equal identities.
        is_counted: bool [B], over which samples the mean is taken.
        per_class: Whether every class with a counted sample weighs the same, or every sample.

    Returns:
        float32 [B]; zeros if nothing is counted.
    """
    weight = ops.cast(is_counted, values.dtype)
    if per_class:
        is_same = ops.cast(ops.equal(label[:, None], label[None, :]), values.dtype)
        count = ops.sum(is_same * weight[None, :], axis=1)
        weight = weight / ops.maximum(count, 1.0)
    total = ops.sum(weight)
    mean = ops.mean(weight)
    return values * weight / ops.where(total > 0.0, mean, 1.0)


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class ReducedLoss(EmbeddingLoss):
    """A loss whose mean is over those of its values that lie between two bounds.

    By default over those above 0, so that satisfied samples do not dilute the others: the
    `AvgNonZeroReducer` of pytorch-metric-learning, with bounds its `ThresholdReducer`. Weights of
    classes are Keras' `class_weight`, a sum or no reduction is `reduction`.

    Args:
        loss: A loss on embeddings, or its name.
        low: Values at or below it do not count, default 0; None for no bound.
        high: Values at or above it do not count, default None.
        per_class: Whether every class weighs the same, however many samples of it count; by
            default every sample does.
        name: The loss's name in logs.
        reduction: Keras' `"sum_over_batch_size"` for that mean; the wrapped loss's is not used.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B], the samples' shares of the mean; 0 where nothing counts.

    Raises:
        ValueError: `loss` is unknown or none on embeddings, or `low` is not below `high`.

    Numerics:
        float32 under every precision policy. No gradient through what counts.

    Example:
        >>> import numpy as np
        >>> label, points = np.array([0, 0, 1, 2]), np.eye(4)
        >>> for loss in (EmbeddingLoss.get("supcon"), ReducedLoss("supcon")):
        ...     print(round(float(loss(label, points)), 4))
        0.5493
        1.0986

    Source:
        Hermans et al., "In Defense of the Triplet Loss", arXiv 1703.07737: its means over non-zero
        terms, marked so in its tables.
    """

    SOURCE = "In Defense of the Triplet Loss, arXiv 1703.07737, means over non-zero terms"
    TINY = {"loss": "multi_similarity"}

    def __init__(
        self,
        loss: EmbeddingLoss | str | Mapping[str, Any],
        low: float | None = 0.0,
        high: float | None = None,
        per_class: bool = False,
        name: str = "reduced_loss",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(name, reduction)
        if low is not None and high is not None and not float(low) < float(high):
            raise ValueError(f"low must be below high. Received: low={low!r}, high={high!r}.")
        self.loss = EmbeddingLoss.get(loss)
        self.low = None if low is None else float(low)
        self.high = None if high is None else float(high)
        self.per_class = bool(per_class)

    def per_sample(self, label: Tensor, embedding: Tensor) -> Tensor:
        values = self.loss.per_sample(label, embedding)
        is_counted = ops.ones_like(values, dtype="bool")
        if self.low is not None:
            is_counted = ops.logical_and(is_counted, values > self.low)
        if self.high is not None:
            is_counted = ops.logical_and(is_counted, values < self.high)
        return shares_of_mean(values, label, is_counted, self.per_class)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "loss": keras.saving.serialize_keras_object(self.loss),
            "low": self.low,
            "high": self.high,
            "per_class": self.per_class,
        }
