"""Triplet loss on semi-hard negatives, with tensorflow-addons' signature and values."""

from collections.abc import Callable
from typing import Any

import keras

from facezoo import registry
from facezoo.distance_loss import shares
from facezoo.ops import Tensor, pairwise_distance
from facezoo.triplets import MinedTripletLoss, TripletRule, triplet_sums


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
    rule = TripletRule(margin, anchors_without_negatives=anchors_without_negatives)
    sums = triplet_sums(label, pairwise_distance(distance_metric)(embedding), rule)
    return shares(sums.cost, sums.count)


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class TripletSemiHardLoss(MinedTripletLoss):
    """Pulls every positive closer to its anchor than the nearest negative beyond it.

    For every ordered anchor-positive pair of the batch the negative is the nearest one strictly
    farther than the positive, or, where there is none, the farthest one. The loss is the mean of
    `max(d_ap - d_an + margin, 0)` over all those pairs, satisfied ones included.

    Args:
        margin: Least wanted difference of the distances, 0 or more. FaceNet used 0.2 with
            `"squared-L2"`; the default is tensorflow-addons'.
        distance_metric: A name of `facezoo.ops.DISTANCES` (`"L2"`, `"squared-L2"`, `"angular"` ..),
            or a function from points [B, D] to distances [B, B], registered with Keras if the loss
            is to be saved.
        name: The loss's name in logs.
        anchors_without_negatives: When a whole batch is one identity, `"tfa"` counts its pairs as
            if a negative lay at the anchor (`d_ap + margin`), as tensorflow-addons does; `"skip"`
            leaves them out.
        mean_over: `"all"` pairs, as tensorflow-addons, or the `"active"` ones, which cost
            something: the loss then does not fall because more and more pairs are satisfied.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B], the anchors' shares; their mean is tensorflow-addons' scalar.
        A batch without a positive pair gives 0, where tensorflow-addons gives NaN.

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
        mean_over: str = "all",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(margin, distance_metric, mean_over, name, reduction)
        self.anchors_without_negatives = anchors_without_negatives
        self.rule = TripletRule(self.margin, anchors_without_negatives=anchors_without_negatives)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "anchors_without_negatives": self.anchors_without_negatives,
        }
