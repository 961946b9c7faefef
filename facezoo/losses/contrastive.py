"""Contrastive loss on the distances of given pairs, tensorflow-addons' signature and values."""

from typing import Any

import keras
from keras import ops

from facezoo import shapes
from facezoo.distance_loss import contrastive_cost
from facezoo.ops import Tensor


@keras.saving.register_keras_serializable("facezoo")
class ContrastiveLoss(keras.losses.Loss):
    """Draws genuine pairs together and pushes impostor pairs apart as far as the margin.

    A genuine pair at distance d costs `d^2`, an impostor pair `max(margin - d, 0)^2`. For the
    embeddings of a batch with identities, of which all pairs are made, see `BatchContrastiveLoss`.
    For two embeddings per pair hand over their distance: `ops.norm(a - b, axis=1)`, or, where the
    two may be equal, `facezoo.ops.safe_sqrt(ops.sum(ops.square(a - b), axis=1))`.

    Args:
        margin: Wanted distance of impostor pairs, 0 or more.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: The loss's name in logs.

    Call:
        y_true: [B] or [B, 1], 1 for a genuine pair and 0 for an impostor pair.
        y_pred: float [B] or [B, 1], distances.

    Returns:
        float32 [B], the pairs' costs.

    Raises:
        ValueError: `margin` is below 0; `y_pred` is no distance per pair.

    Numerics:
        float32 under every precision policy.

    Example:
        >>> ContrastiveLoss(reduction="none")([1, 0, 1, 0], [0.0, 0.5, 2.0, 3.0]).numpy().tolist()
        [0.0, 0.25, 4.0, 0.0]

    Source:
        Hadsell et al., 2006, eq. 4, without its factor of 1/2, as in tensorflow-addons 0.23.
    """

    def __init__(
        self,
        margin: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "contrastive_loss",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=shapes.FLOAT)
        if not float(margin) >= 0.0:
            raise ValueError(f"margin must be 0 or more. Received: margin={margin!r}.")
        self.margin = float(margin)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        shape = tuple(y_pred.shape)
        if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
            raise ValueError(
                "y_pred must hold one distance per pair, as [B] or [B, 1]. "
                f"Received: y_pred with shape {shape}. For embeddings and identities use "
                "BatchContrastiveLoss."
            )
        is_genuine, distances = ops.reshape(y_true, (-1,)), ops.reshape(y_pred, (-1,))
        return contrastive_cost(is_genuine, distances, self.margin)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}
