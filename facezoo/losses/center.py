"""Center loss: every sample close to the running centre of its class."""

from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.contracts import AuxiliaryLoss
from facezoo.ops import Tensor


def moved_centers(
    centers: Tensor, features: Tensor, label: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """The paper's step: `c - alpha * sum(c - x) / (1 + n)` over the n samples x of a class.

    Args:
        centers: float32 [C, D].
        features: float32 [B, D].
        label: int32 [B]; a label outside [0, C) moves nothing.
        alpha: Rate of the centres.

    Returns:
        `(row int32 [B], moved float32 [B, D])`: rows of `centers` and what they become. A row that
        is named again comes with the same values.
    """
    row = _clipped(label, centers)
    own = ops.take(centers, row, axis=0)
    is_same = ops.cast(ops.equal(row[:, None], label[None, :]), features.dtype)
    count = ops.sum(is_same, axis=1, keepdims=True)
    pull = count * own - ops.matmul(is_same, features)
    return row, own - alpha * pull / (1.0 + count)


@registry.register("auxiliary_loss")
@keras.saving.register_keras_serializable("facezoo")
class CenterLoss(AuxiliaryLoss):
    """Half the squared distance to the centre of the class, added to a loss on classes.

    The centres follow their samples by the paper's rule, once a step, by the counts of the global
    batch and after they were used. They are saved with the model.

    Args:
        num_classes: Number of identities C, at least 1.
        weight: The paper's lambda, 0 or more, default 0.003; the authors' example has 0.008. It is
            for the mean over the samples of half the squared distance of unnormalised features:
            a lambda found for another form does not carry over.
        alpha: Rate of the centres, in [0, 1], default 0.5.
        use_norm: Whether the centres are those of the features, `embedding * norm` (default), or
            of the unit embeddings.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation.
        label: int [B] or [B, 1] in [0, C), or one-hot. A label outside gives 0 and moves nothing.
        training: bool, whether the centres move.

    Returns:
        float32 per-sample values [B], without the factor `weight`.

    Raises:
        ValueError: An argument is out of range; `label` has another shape.

    Numerics:
        float32 under every precision policy. No gradient reaches the centres.

    Example:
        >>> import numpy as np
        >>> loss = CenterLoss(num_classes=2)
        >>> loss.build((None, 2))
        >>> loss.set_weights([np.zeros((2, 2))])
        >>> embedding, norm = np.array([[0.0, 1.0]]), np.array([2.0])
        >>> loss(embedding, norm, np.array([1]), training=True).numpy().tolist()
        [2.0]
        >>> loss.centers.numpy().tolist()
        [[0.0, 0.0], [0.0, 0.5]]

    Source:
        Wen et al., "A Discriminative Feature Learning Approach for Deep Face Recognition",
        ECCV 2016, eq. 2 and 4.
    """

    SOURCE = "Wen et al., center loss, ECCV 2016, eq. 2 and 4"
    TINY = {"num_classes": 5, "weight": 0.5}

    def __init__(
        self,
        num_classes: int,
        weight: float = 0.003,
        alpha: float = 0.5,
        use_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, **kwargs)
        if int(num_classes) < 1:
            raise ValueError(f"num_classes must be at least 1. Received: {num_classes!r}.")
        if not 0.0 <= float(alpha) <= 1.0:
            raise ValueError(f"alpha must be in [0, 1]. Received: alpha={alpha!r}.")
        self.num_classes = int(num_classes)
        self.alpha = float(alpha)
        self.use_norm = bool(use_norm)

    def build(self, embedding_shape: tuple[int | None, int]) -> None:
        shape = (self.num_classes, embedding_shape[-1])
        # Not zeros: at the start every class would be pulled to the same point.
        self.centers = self.add_state("centers", shape, "glorot_uniform")
        super().build(embedding_shape)

    def per_sample(self, embedding: Tensor, norm: Tensor, label: Tensor, training: bool) -> Tensor:
        features = embedding * norm[:, None] if self.use_norm else embedding
        centers = ops.convert_to_tensor(self.centers)
        own = ops.take(centers, _clipped(label, centers), axis=0)
        values = 0.5 * ops.sum(ops.square(features - own), axis=1)
        if training:
            fixed = ops.stop_gradient(features)
            row, moved = moved_centers(centers, fixed, label, self.alpha)
            self.centers.assign(ops.scatter_update(centers, row[:, None], moved))
        is_known = ops.logical_and(label >= 0, label < self.num_classes)
        return ops.where(is_known, values, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "alpha": self.alpha,
            "use_norm": self.use_norm,
        }


def _clipped(label: Tensor, centers: Tensor) -> Tensor:
    return ops.clip(label, 0, ops.shape(centers)[0] - 1)
