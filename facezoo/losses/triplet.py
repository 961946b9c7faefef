"""The triplet loss with a choice of positives, negatives and mean; FaceNet's by default."""

from collections.abc import Callable
from typing import Any

import keras

from facezoo import registry
from facezoo.ops import Tensor
from facezoo.triplets import MinedTripletLoss, TripletRule


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class TripletLoss(MinedTripletLoss):
    """Wants every positive closer to its anchor than a negative, by a margin.

    A triplet costs `max(d_ap - d_an + margin, 0)`. Anchors without a positive or without a negative
    give none. `TripletSemiHardLoss` and `TripletHardLoss` are tensorflow-addons' two.

    Args:
        margin: Least wanted difference of the distances, 0 or more, default FaceNet's 0.2.
        distance_metric: A name of `facezoo.ops.DISTANCES`, or a function from points [B, D] to
            distances [B, B], registered with Keras if the loss is to be saved; default FaceNet's
            `"squared-L2"`.
        positives: `"all"` pairs of an anchor with a positive, or each anchor's `"hardest"`, the
            farthest.
        negatives: Which negative a pair meets. `"semi-hard"`: the nearest beyond the positive, or,
            where there is none, the farthest of all. `"hardest"`: the nearest of all, which
            collapses an untrained network. `"random"`: any that violates the margin.
        mean_over: `"all"` triplets, or the `"active"` ones, which cost something.
        name: The loss's name in logs.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B], the anchors' shares of the mean. A batch without a triplet
        gives 0.

    Raises:
        ValueError: An argument is out of range, or, when saved, the function is not registered.

    Numerics:
        float32 under every precision policy; gradient 0 at distance 0. All points equal is a
        stationary point where the loss is exactly the margin: such a value is collapse.

    Example:
        >>> import numpy as np
        >>> round(float(TripletLoss(negatives="hardest")(np.array([0, 0, 1, 1]), np.eye(4))), 6)
        0.2

    Source:
        FaceNet, arXiv 1503.03832, eq. 1 to 4.
    """

    SOURCE = "FaceNet, arXiv 1503.03832, eq. 1 to 4"
    TINY = {}

    def __init__(
        self,
        margin: float = 0.2,
        distance_metric: str | Callable[[Tensor], Tensor] = "squared-L2",
        positives: str = "all",
        negatives: str = "semi-hard",
        mean_over: str = "all",
        name: str = "triplet_loss",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(margin, distance_metric, mean_over, name, reduction)
        self.positives = positives
        self.negatives = negatives
        self.rule = TripletRule(self.margin, positives, negatives)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "positives": self.positives,
            "negatives": self.negatives,
        }
