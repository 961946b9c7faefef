"""AdaFace: a margin that favours hard samples among sharp images and easy ones among blurred."""

from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.margin_head import MarginHead
from facezoo.margins import cos_of_sum
from facezoo.ops import Tensor
from facezoo.replicas import gather_batch

# Bounds of the norms, start of the statistics and guard of the division: the authors' code.
_NORM_RANGE = (0.001, 100.0)
_FIRST_MEAN, _FIRST_STD = 20.0, 100.0
_EPSILON = 1e-3


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class AdaFace(MarginHead):
    """Angular and additive margin by image quality, of which the norm is the measure.

    `q = clip(concentration * (norm - mean) / std, -1, 1)`, with running mean and standard deviation
    of the norms, saved with the head. The target is
    `scale * (cos(theta - margin * q) - margin * (1 + q))`.

    Args:
        num_classes: Number of identities C, at least 1.
        margin: Of the angle, radians, and of the cosine, in [0, 1], default 0.4.
        scale: Factor in front of the cosine, above 0, default 64; None for `norm`.
        concentration: The paper's h, above 0, default 0.333: two thirds of the norms, those within
            one standard deviation, have q within this.
        momentum: Share of the statistics that a step keeps, in [0, 1), default 0.99.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation.
        label: int [B] in [0, C). A label outside is masked: its row carries no margin.
        training: bool, whether the statistics move, before they are used.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: An argument is out of range, or `label` is not int [B].

    Numerics:
        No gradient flows into the norm. Norms are clipped to [0.001, 100], and the angle with its
        margin to [0, pi], beyond which there is no gradient either, as in the authors' code. Under
        `tf.distribute` the statistics are those of the global batch. Masked labels do not move
        them.

    Example:
        >>> import numpy as np
        >>> head = AdaFace(num_classes=2, margin=0.25, scale=8.0)
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2), np.float32(20.0), np.float32(10.0)])
        >>> head(np.eye(2), np.array([20.0, 20.0]), np.array([0, 1])).numpy().tolist()
        [[6.0, 0.0], [0.0, 6.0]]

    Source:
        Kim et al., "AdaFace", arXiv 2204.00964, section 3.3.
    """

    SOURCE = "AdaFace, arXiv 2204.00964, section 3.3"
    TINY = {"num_classes": 5, "scale": 16.0}

    def __init__(
        self,
        num_classes: int,
        margin: float = 0.4,
        scale: float | None = 64.0,
        concentration: float = 0.333,
        momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, scale, **kwargs)
        if not 0.0 <= float(margin) <= 1.0:
            raise ValueError(
                "margin must be in [0, 1], radians and cosine at once. "
                f"Received: margin={margin!r}. Is it in degrees?"
            )
        if not float(concentration) > 0.0:
            raise ValueError(
                f"concentration must be above 0. Received: concentration={concentration!r}."
            )
        if not 0.0 <= float(momentum) < 1.0:
            raise ValueError(f"momentum must be in [0, 1). Received: momentum={momentum!r}.")
        self.margin = float(margin)
        self.concentration = float(concentration)
        self.momentum = float(momentum)

    def build_state(self) -> None:
        self.norm_mean = self.add_statistic("norm_mean", _FIRST_MEAN)
        self.norm_std = self.add_statistic("norm_std", _FIRST_STD)

    def observe(self, cosine: Tensor, norm: Tensor, is_known: Tensor) -> None:
        is_known = ops.cast(is_known, norm.dtype)
        (norm, is_known), _ = gather_batch(ops.clip(norm, *_NORM_RANGE), is_known)
        num_norms = ops.sum(is_known)
        mean = ops.sum(is_known * norm) / ops.maximum(num_norms, 1.0)
        squares = ops.sum(is_known * ops.square(norm - mean))
        std = ops.sqrt(squares / ops.maximum(num_norms - 1.0, 1.0))
        for statistic, found in ((self.norm_mean, mean), (self.norm_std, std)):
            step = (1.0 - self.momentum) * (found - statistic)
            statistic.assign(statistic + ops.where(num_norms > 0.0, step, 0.0))

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        norm = ops.clip(ops.stop_gradient(norm), *_NORM_RANGE)
        deviation = (norm - self.norm_mean) / (self.norm_std + _EPSILON)
        quality = ops.clip(self.concentration * deviation, -1.0, 1.0)
        angle = -self.margin * quality
        moved, edge = cos_of_sum(cosine, angle), ops.cos(angle)
        moved = ops.where(ops.logical_and(angle < 0.0, cosine > edge), 1.0, moved)
        moved = ops.where(ops.logical_and(angle > 0.0, cosine < -edge), -1.0, moved)
        return moved - self.margin * (1.0 + quality)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "margin": self.margin,
            "concentration": self.concentration,
            "momentum": self.momentum,
        }
