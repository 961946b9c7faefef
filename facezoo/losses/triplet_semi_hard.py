"""Triplet loss on semi-hard negatives: FaceNet's, with tensorflow-addons' signature and values."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.contracts import EmbeddingLoss
from facezoo.mining import semi_hard_negatives
from facezoo.ops import Tensor, pairwise_distance, take_in_row

_POLICIES = ("tfa", "skip")


def triplet_semi_hard_loss(
    label: Tensor,
    embedding: Tensor,
    margin: float = 1.0,
    distance_metric: str | Callable[[Tensor], Tensor] = "L2",
    anchors_without_negatives: str = "tfa",
) -> Tensor:
    """Mean of `max(d_ap - d_an + margin, 0)` over all anchor-positive pairs, as per-anchor shares.

    Args:
        label: [B], equal numbers for equal identities.
        embedding: float32 or float64 [B, D].
        margin: See `TripletSemiHardLoss`.
        distance_metric: See `TripletSemiHardLoss`.
        anchors_without_negatives: See `TripletSemiHardLoss`.

    Returns:
        float [B], whose mean is the mean over the pairs; zeros if there is no pair.
    """
    distances = pairwise_distance(distance_metric)(embedding)
    num_samples = ops.shape(label)[0]
    row = ops.arange(num_samples)
    is_same = ops.equal(label[:, None], label[None, :])
    is_positive = ops.logical_and(is_same, ops.not_equal(row[:, None], row[None, :]))
    is_negative = ops.logical_not(is_same)
    has_negative = ops.any(is_negative, axis=1, keepdims=True)
    negative = semi_hard_negatives(ops.stop_gradient(distances), is_positive, is_negative)
    negative_distances = take_in_row(distances, negative)
    violations = ops.relu(distances - ops.where(has_negative, negative_distances, 0.0) + margin)
    if anchors_without_negatives == "skip":
        is_positive = ops.logical_and(is_positive, has_negative)
    num_pairs = ops.cast(ops.maximum(ops.count_nonzero(is_positive), 1), distances.dtype)
    per_anchor = ops.sum(ops.where(is_positive, violations, 0.0), axis=1)
    return per_anchor * (ops.cast(num_samples, distances.dtype) / num_pairs)


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class TripletSemiHardLoss(EmbeddingLoss):
    """Pulls every positive closer to its anchor than the nearest negative beyond it.

    For every ordered anchor-positive pair of the batch the negative is the nearest one strictly
    farther than the positive, or, where there is none, the farthest one. The loss is the mean of
    `max(d_ap - d_an + margin, 0)` over all those pairs, satisfied ones included.

    Args:
        margin: Least wanted difference of the distances, 0 or more. FaceNet used 0.2 with
            `"squared-L2"`; the default is tensorflow-addons'.
        distance_metric: `"L2"`, `"squared-L2"`, `"angular"` (1 - cosine), or a function from points
            [B, D] to distances [B, B], registered with Keras if the loss is to be saved.
        name: The loss's name in logs.
        anchors_without_negatives: When a whole batch is one identity, `"tfa"` counts its pairs as
            if a negative lay at the anchor (`d_ap + margin`), as tensorflow-addons does; `"skip"`
            leaves them out.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B], the anchors' shares; their mean is tensorflow-addons' scalar.
        A batch without a positive pair gives 0.

    Raises:
        ValueError: An argument is out of range, or, when saved, the function is not registered.

    Numerics:
        float32 under every precision policy; gradient 0 at distance 0. All points equal is a
        stationary point where the loss is exactly the margin: such a value is collapse.

    Example:
        >>> import numpy as np
        >>> loss = TripletSemiHardLoss(margin=0.2, distance_metric="squared-L2")
        >>> round(float(loss(np.array([0, 0, 1, 1]), np.eye(4))), 6)
        0.2

    Source:
        FaceNet, arXiv 1503.03832, eq. 3 and 4; fall-back and mean of tensorflow-addons 0.23.
    """

    SOURCE = "FaceNet, arXiv 1503.03832, eq. 3 and 4"
    TINY = {"margin": 0.2}

    def __init__(
        self,
        margin: float = 1.0,
        distance_metric: str | Callable[[Tensor], Tensor] = "L2",
        name: str = "triplet_semihard_loss",
        anchors_without_negatives: str = "tfa",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(name, reduction)
        if not float(margin) >= 0.0:
            raise ValueError(f"margin must be 0 or more. Received: margin={margin!r}.")
        if anchors_without_negatives not in _POLICIES:
            raise ValueError(
                f"anchors_without_negatives must be one of {_POLICIES}. "
                f"Received: {anchors_without_negatives!r}."
            )
        pairwise_distance(distance_metric)
        self.margin = float(margin)
        self.distance_metric = distance_metric
        self.anchors_without_negatives = anchors_without_negatives

    def per_sample(self, label: Tensor, embedding: Tensor) -> Tensor:
        return triplet_semi_hard_loss(
            label, embedding, self.margin, self.distance_metric, self.anchors_without_negatives
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "margin": self.margin,
            "distance_metric": _serialize(self.distance_metric),
            "anchors_without_negatives": self.anchors_without_negatives,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TripletSemiHardLoss":
        """Makes the loss from what `get_config` returned."""
        metric = config["distance_metric"]
        if isinstance(metric, dict):
            metric = keras.saving.deserialize_keras_object(metric)
        return cls(**{**config, "distance_metric": metric})


def _serialize(metric: str | Callable[[Tensor], Tensor]) -> str | dict[str, Any]:
    if isinstance(metric, str):
        return metric
    if keras.saving.get_registered_object(keras.saving.get_registered_name(metric)) is None:
        raise ValueError(
            "A loss can be saved only with a registered distance. Decorate the function with "
            f"@keras.saving.register_keras_serializable. Received: distance_metric={metric!r}."
        )
    return keras.saving.serialize_keras_object(metric)
