"""Contrastive loss on all pairs of a batch of embeddings."""

from collections.abc import Callable

import keras
from keras import ops

from facezoo import mining, registry
from facezoo.contracts import MiningLoss
from facezoo.distance_loss import DistanceLoss, contrastive_cost, shares
from facezoo.ops import Tensor, pairwise_distance


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class BatchContrastiveLoss(DistanceLoss, MiningLoss):
    """The mean over all pairs of a batch of what `ContrastiveLoss` takes for a pair.

    A genuine pair at distance d costs `d^2`, an impostor pair `max(margin - d, 0)^2`.

    Args:
        margin: Wanted distance of impostor pairs, 0 or more.
        distance_metric: A name of `facezoo.ops.DISTANCES`, or a function from points [B, D] to
            distances [B, B], registered with Keras if the loss is to be saved.
        name: The loss's name in logs.
        mean_over: `"all"` pairs, or the `"active"` ones, which cost something: in a batch of many
            identities most impostor pairs soon do not.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B], the samples' shares of the mean. A batch of 1 gives 0.

    Raises:
        ValueError: An argument is out of range, or, when saved, the function is not registered.

    Numerics:
        float32 under every precision policy; gradient 0 at distance 0.

    Example:
        >>> import numpy as np
        >>> points = np.array([[0.0], [1.0], [1.5]])
        >>> BatchContrastiveLoss(reduction="none")(np.array([0, 0, 1]), points).numpy().tolist()
        [0.5, 0.625, 0.125]

    Source:
        Hadsell et al., 2006, eq. 4, without its factor of 1/2.
    """

    SOURCE = "Hadsell et al., CVPR 2006, eq. 4"
    TINY = {"margin": 1.5}

    def __init__(
        self,
        margin: float = 1.0,
        distance_metric: str | Callable[[Tensor], Tensor] = "L2",
        name: str = "batch_contrastive_loss",
        mean_over: str = "all",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(margin, distance_metric, mean_over, name, reduction)

    def per_sample_among(self, label: Tensor, embedding: Tensor, is_negative: Tensor) -> Tensor:
        distances = pairwise_distance(self.distance_metric)(embedding)
        is_positive, _ = mining.pair_masks(label)
        is_pair = ops.logical_or(is_positive, is_negative)
        is_genuine = ops.cast(is_positive, distances.dtype)
        cost = ops.where(is_pair, contrastive_cost(is_genuine, distances, self.margin), 0.0)
        counts = is_pair if self.mean_over == "all" else cost > 0.0
        return shares(ops.sum(cost, axis=1), ops.sum(ops.cast(counts, cost.dtype), axis=1))
