"""CosFace: a margin taken off the cosine with the sample's own class centre."""

from typing import Any

import keras

from facezoo import registry
from facezoo.contracts import MarginHead
from facezoo.ops import Tensor


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class CosFace(MarginHead):
    """Additive cosine margin: the target logit is `scale * (cosine - margin)`.

    Args:
        num_classes: Number of identities C, at least 1.
        margin: Taken off the target's cosine, in [0, 1] (a cosine, no angle), default 0.35.
        scale: Factor in front of the cosine, above 0, default 64.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation; not looked at.
        label: int32 [B] in [0, C). A label outside is masked: its row carries no margin.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: `num_classes`, `margin` or `scale` is out of range.

    Example:
        >>> import numpy as np
        >>> head = CosFace(num_classes=2, margin=0.25, scale=8.0)
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2)])
        >>> head(np.eye(2), np.ones(2), np.array([0, 1])).numpy().tolist()
        [[6.0, 0.0], [0.0, 6.0]]

    Source:
        Wang et al., "CosFace", arXiv 1801.09414, eq. 4 (L_lmc).
    """

    SOURCE = "CosFace, arXiv 1801.09414, eq. 4 (L_lmc)"
    TINY = {"num_classes": 5, "margin": 0.2, "scale": 16.0}

    def __init__(
        self, num_classes: int, margin: float = 0.35, scale: float = 64.0, **kwargs: Any
    ) -> None:
        super().__init__(num_classes, scale, **kwargs)
        if not 0.0 <= float(margin) <= 1.0:
            raise ValueError(
                f"margin must be in [0, 1], the unit of a cosine. Received: margin={margin!r}."
            )
        self.margin = float(margin)

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return cosine - self.margin

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}
