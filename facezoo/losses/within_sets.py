"""A loss on embeddings for several data sets in one batch, which share people unknown to it."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.contracts import MiningLoss
from facezoo.mining import LabelSets
from facezoo.ops import Tensor


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class WithinSets(MiningLoss):
    """A loss that looks for its impostor pairs within each data set, or leaves suspects out.

    Two data sets may know one person under two labels; pushed apart, the two would teach a mistake.
    Genuine pairs are within a set anyway, so that what is left out are impostor pairs alone: the
    wrapped loss is handed a mask, and computes values, counts and fall-backs as if the other pairs
    were not there. Labels count through: set i has those after set i - 1.

    Args:
        loss: A loss that looks for pairs or triplets itself, or its name.
        num_classes: Number of identities of every set, each at least 1.
        cross_set_negatives: Whether to take impostor pairs across sets after all.
        duplicates: Pairs of labels suspected to be one person, never an impostor pair.
        name: The loss's name in logs.
        reduction: Keras' `"sum_over_batch_size"` for the wrapped loss's mean; its own `reduction`
            is not used.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too. One
            outside every set is an impostor for everybody.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B], as of the wrapped loss.

    Raises:
        ValueError: `loss` is unknown or does not look for pairs itself; a set without identities; a
            duplicate that is no pair of two different labels.

    Numerics:
        As the wrapped loss. A pair that is left out has neither value nor gradient.

    Example:
        >>> import numpy as np
        >>> label, points = np.array([0, 0, 1, 1]), np.array([[0.0], [1.0], [9.0], [9.0]])
        >>> for num_classes in ([2], [1, 1]):
        ...     loss = WithinSets("batch_contrastive", num_classes)
        ...     print(round(float(loss(label, points)), 3))
        0.167
        0.5

    Source:
        Nothing published: the mask that concat-train puts on classes, put on pairs.
    """

    SOURCE = "Concat-train's mask on the classes of other sets, put on pairs"
    TINY = {"loss": "multi_similarity", "num_classes": [2, 2]}

    def __init__(
        self,
        loss: MiningLoss | str | Mapping[str, Any],
        num_classes: Sequence[int],
        cross_set_negatives: bool = False,
        duplicates: Sequence[Sequence[int]] = (),
        name: str = "within_sets",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(name, reduction)
        self.loss = MiningLoss.get(loss)
        self.sets = LabelSets(num_classes, cross_set_negatives, duplicates)

    def per_sample_among(self, label: Tensor, embedding: Tensor, is_negative: Tensor) -> Tensor:
        is_comparable = self.sets.is_comparable(label, label)
        is_negative = ops.logical_and(is_negative, is_comparable)
        return self.loss.per_sample_among(label, embedding, is_negative)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "loss": keras.saving.serialize_keras_object(self.loss),
            **self.sets.get_config(),
        }
