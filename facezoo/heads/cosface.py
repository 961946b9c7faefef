"""CosFace: a margin taken off the cosine with the sample's own class centre."""

import math
from typing import Any

import keras

from facezoo import registry
from facezoo.margin_head import MarginHead
from facezoo.ops import Tensor


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class CosFace(MarginHead):
    """Additive cosine margin: the target logit is `scale * (cosine - margin)`.

    Args:
        num_classes: Number of identities C, at least 1.
        margin: Taken off the target's cosine, in [0, 1] (a cosine, no angle), default 0.35.
        scale: Factor in front of the cosine, above 0, default 64; None for `norm`. `min_scale` says
            how little is too little.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation; not looked at.
        label: int [B] in [0, C). A label outside is masked: its row carries no margin.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: An argument is out of range, or `label` is not int [B].

    Example:
        >>> import numpy as np
        >>> head = CosFace(num_classes=2, margin=0.25, scale=8.0)
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2)])
        >>> head(np.eye(2), np.ones(2), np.array([0, 1])).numpy().tolist()
        [[6.0, 0.0], [0.0, 6.0]]
        >>> round(CosFace.min_scale(10_575), 2)
        11.46

    Source:
        Wang et al., "CosFace", arXiv 1801.09414, eq. 4 (L_lmc), and its lower bound of s.
    """

    SOURCE = "CosFace, arXiv 1801.09414, eq. 4 (L_lmc)"
    TINY = {"num_classes": 5, "margin": 0.2, "scale": 16.0}

    def __init__(
        self, num_classes: int, margin: float = 0.35, scale: float | None = 64.0, **kwargs: Any
    ) -> None:
        super().__init__(num_classes, scale, **kwargs)
        if not 0.0 <= float(margin) <= 1.0:
            raise ValueError(
                f"margin must be in [0, 1], the unit of a cosine. Received: margin={margin!r}."
            )
        self.margin = float(margin)

    @staticmethod
    def min_scale(num_classes: int, probability: float = 0.9) -> float:
        """Least scale that lets the softmax of a perfect embedding reach a probability.

        `(C - 1) / C * ln((C - 1) p / (1 - p))`: class centres as far apart as they can be.

        Args:
            num_classes: C, at least 2.
            probability: p, in (0, 1).

        Raises:
            ValueError: An argument is out of range.
        """
        if num_classes < 2 or not 0.0 < probability < 1.0:
            raise ValueError(
                "num_classes must be at least 2 and probability in (0, 1). "
                f"Received: num_classes={num_classes!r}, probability={probability!r}."
            )
        odds = (num_classes - 1) * probability / (1.0 - probability)
        return (num_classes - 1) / num_classes * math.log(odds)

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine - self.margin

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}
