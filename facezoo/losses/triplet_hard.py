"""Triplet loss on the hardest positive and negative, tensorflow-addons' signature and values."""

from collections.abc import Callable
from typing import Any

import keras

from facezoo import registry
from facezoo.ops import Tensor
from facezoo.triplets import MinedTripletLoss, TripletRule


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class TripletHardLoss(MinedTripletLoss):
    """Compares each anchor's farthest positive with its nearest negative ("batch hard").

    The loss is the mean of `max(d_ap - d_an + margin, 0)` over all anchors, or, if soft, of
    `log(1 + exp(d_ap - d_an))`. Train with softmax or semi-hard negatives first: from random
    weights the hardest negatives collapse the embeddings.

    Args:
        margin: Least wanted difference of the distances, 0 or more, default tensorflow-addons' 1.
        soft: Whether a soft margin takes the place of `margin`.
        distance_metric: A name of `facezoo.ops.DISTANCES`, or a function from points [B, D] to
            distances [B, B], registered with Keras if the loss is to be saved.
        name: The loss's name in logs.
        anchors_without_negatives: Whether an anchor that lacks a positive or a negative counts.
            `"tfa"`: as in tensorflow-addons it is its own positive, and the positive its own
            negative; `"skip"` leaves it out.
        mean_over: `"all"` anchors, as tensorflow-addons, or the `"active"` ones.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B]; their mean is tensorflow-addons' scalar. A batch without a
        positive pair gives 0.

    Raises:
        ValueError: An argument is out of range, or, when saved, the function is not registered.

    Numerics:
        float32 under every precision policy; gradient 0 at distance 0; the soft margin does not
        overflow. All points equal is a stationary point: such a value is collapse.

    Example:
        >>> import numpy as np
        >>> points = np.array([[0.0], [2.0], [3.0], [7.0]])
        >>> TripletHardLoss(reduction="none")(np.array([0, 0, 1, 1]), points).numpy().tolist()
        [0.0, 2.0, 4.0, 0.0]

    Source:
        Hermans et al., arXiv 1703.07737, eq. 5; mean of tensorflow-addons 0.23.
    """

    SOURCE = "In Defense of the Triplet Loss, arXiv 1703.07737, eq. 5"
    TINY = {"margin": 0.2}

    def __init__(
        self,
        margin: float = 1.0,
        soft: bool = False,
        distance_metric: str | Callable[[Tensor], Tensor] = "L2",
        name: str = "triplet_hard_loss",
        anchors_without_negatives: str = "tfa",
        mean_over: str = "all",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(margin, distance_metric, mean_over, name, reduction)
        self.soft = bool(soft)
        self.anchors_without_negatives = anchors_without_negatives
        self.rule = TripletRule(
            self.margin, "hardest", "hardest", anchors_without_negatives, self.soft
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "soft": self.soft,
            "anchors_without_negatives": self.anchors_without_negatives,
        }
