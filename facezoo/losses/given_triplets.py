"""The triplet loss on triplets that were chosen beforehand, such as those mined offline."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from facezoo.mining import PositivePairs
from facezoo.ops import Tensor, pairwise_distance
from facezoo.triplets import TripletBase, TripletRule, TripletSums, sums_of_pairs


@keras.saving.register_keras_serializable("facezoo")
class GivenTripletsLoss(TripletBase):
    """Wants the positive closer to the anchor than the negative; nothing is searched for.

    The rows of a batch are T anchors, then their positives, then their negatives. Row t of each
    third makes triplet t, which costs `max(d_ap - d_an + margin, 0)`. In no registry: most of what
    is asked of a loss there, such as that the order of the rows is free, does not apply.

    Args:
        margin: Least wanted difference of the distances, 0 or more, default FaceNet's 0.2.
        distance_metric: A name of `facezoo.ops.DISTANCES`, or a function from points [B, D] to
            distances [B, B], registered with Keras if the loss is to be saved; default FaceNet's
            `"squared-L2"`.
        name: The loss's name in logs.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.

    Call:
        y_true: [B]; not looked at.
        y_pred: float [B, D], embeddings, B = 3 T.

    Returns:
        float32 per-sample values [B]: what a triplet costs, for each of its three rows.

    Raises:
        ValueError: An argument is out of range; B is known and no multiple of 3; or, when saved,
            the function is not registered.

    Numerics:
        float32 under every precision policy; gradient 0 at distance 0. Under `tf.distribute` a
        replica looks at its own rows only, in which each third must have its share: rows r, r + n,
        r + 2n .. of n replicas, with T a multiple of n. `fit` deals out consecutive rows instead,
        which breaks the triplets up: use the package's own training loop.

    Example:
        >>> import numpy as np
        >>> points = np.array([[0.0], [5.0], [1.0], [6.0], [3.0], [5.5]])
        >>> loss = GivenTripletsLoss(margin=1.0, distance_metric="L2", reduction="none")
        >>> loss(np.zeros(6), points).numpy().tolist()
        [0.0, 1.5, 0.0, 1.5, 0.0, 1.5]

    Source:
        FaceNet, arXiv 1503.03832, eq. 2.
    """

    SOURCE = "FaceNet, arXiv 1503.03832, eq. 2"
    TINY = {"margin": 0.2}

    def __init__(
        self,
        margin: float = 0.2,
        distance_metric: str | Callable[[Tensor], Tensor] = "squared-L2",
        name: str = "given_triplets_loss",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(margin, distance_metric, "all", name, reduction)
        self.rule = TripletRule(self.margin, negatives="hardest")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # Not `EmbeddingLoss.call`: the rows of all replicas, joined, would not be in thirds.
        return self.per_sample(y_true, ops.convert_to_tensor(y_pred))

    def per_sample(self, label: Tensor, embedding: Tensor) -> Tensor:
        del label
        size = embedding.shape[0]
        if size is not None and size % 3:
            raise ValueError(
                "A batch of given triplets is a third anchors, a third positives and a third "
                "negatives. Expected: a multiple of 3 rows (on each of several replicas). "
                f"Received: {size}."
            )
        shares = self.values(self._sums(embedding), embedding)
        num_triplets = ops.shape(embedding)[0] // 3
        return ops.tile(shares[:num_triplets] / 3.0, [3])

    def _sums(self, embedding: Tensor) -> TripletSums:
        """Sums of every row as an anchor, of which only the first third has a triplet."""
        distances = pairwise_distance(self.distance_metric)(embedding)
        size = ops.shape(distances)[0]
        row = ops.arange(size, dtype="int32")[:, None]
        is_anchor = row < size // 3
        positive, negative = (
            ops.where(is_anchor, row + third * (size // 3), 0) for third in (1, 2)
        )
        is_negative = ops.logical_and(is_anchor, ops.equal(negative, ops.transpose(row)))
        return sums_of_pairs(distances, PositivePairs(positive, is_anchor), is_negative, self.rule)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["mean_over"]
        return config
