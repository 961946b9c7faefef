"""Triplet loss on every triplet of the batch, in the memory of its pairs."""

from collections.abc import Callable

import keras
from keras import ops

from facezoo import mining, registry
from facezoo.ops import Tensor, take_in_row
from facezoo.triplets import MinedTripletLoss, TripletRule, TripletSums


def all_triplet_sums(
    label: Tensor, distances: Tensor, margin: float, is_negative: Tensor
) -> TripletSums:
    """Adds up all triplets of a batch in O(B^2 log B) time and O(B^2) memory.

    The negatives that a pair must fear are the first ones of the anchor's sorted list: how many is
    found by a search, and what they add up to is a difference of running sums.

    Args:
        label: [B], equal numbers for equal identities.
        distances: float [B, B].
        margin: Least wanted difference of the distances.
        is_negative: bool [B, B], the impostor pairs to look at.

    Returns:
        Sums of every anchor over its triplets.
    """
    is_positive, _ = mining.pair_masks(label)
    fixed = ops.stop_gradient(distances)
    ranked = mining.rank_negatives(fixed, is_negative)
    running = ops.cumsum(take_in_row(distances, ranked.column), axis=1)

    def closer(radius: Tensor, side: str) -> tuple[Tensor, Tensor]:
        count = mining.count_closer(ranked, radius, is_positive, side)
        last = take_in_row(running, ops.maximum(count - 1, 0))
        return ops.cast(count, distances.dtype), ops.where(count > 0, last, 0.0)

    def total(values: Tensor) -> Tensor:
        return ops.sum(ops.where(is_positive, values, 0.0), axis=1)

    num_active, sum_active = closer(fixed + margin, "left")
    num_not_beyond, _ = closer(fixed, "right")
    num_negatives = ops.cast(ranked.count, distances.dtype)
    num_positives = total(ops.ones_like(fixed))
    return TripletSums(
        cost=total(num_active * (distances + margin) - sum_active),
        count=num_positives * num_negatives[:, 0],
        num_active=total(num_active),
        num_semi_hard=total(ops.maximum(num_active - num_not_beyond, 0.0)),
        num_fallback=total(num_not_beyond),
        positive_distance=total(fixed * num_negatives),
        negative_distance=num_positives * ops.sum(ops.where(is_negative, fixed, 0.0), axis=1),
    )


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class TripletAllLoss(MinedTripletLoss):
    """The mean of `max(d_ap - d_an + margin, 0)` over all triplets of the batch ("batch all").

    Args:
        margin: Least wanted difference of the distances, 0 or more.
        distance_metric: A name of `facezoo.ops.DISTANCES`, or a function from points [B, D] to
            distances [B, B], registered with Keras if the loss is to be saved.
        name: The loss's name in logs.
        mean_over: `"all"` triplets, or the `"active"` ones, which cost something: most soon do not.
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
        >>> points = np.array([[0.0], [2.0], [3.0], [7.0]])
        >>> TripletAllLoss(reduction="none")(np.array([0, 0, 1, 1]), points).numpy().tolist()
        [0.0, 1.0, 3.0, 0.0]

    Source:
        Hermans et al., arXiv 1703.07737, eq. 6; over the active triplets: section 3.2, "batch all".
    """

    SOURCE = "In Defense of the Triplet Loss, arXiv 1703.07737, eq. 6"
    TINY = {"margin": 0.2}

    def __init__(
        self,
        margin: float = 1.0,
        distance_metric: str | Callable[[Tensor], Tensor] = "L2",
        name: str = "triplet_all_loss",
        mean_over: str = "all",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(margin, distance_metric, mean_over, name, reduction)
        self.rule = TripletRule(self.margin)

    def sums(self, label: Tensor, distances: Tensor, is_negative: Tensor) -> TripletSums:
        return all_triplet_sums(label, distances, self.margin, is_negative)
