"""Sub-center ArcFace: several centres per class, so that wrong labels find one of their own."""

from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.margin_head import MarginHead
from facezoo.margins import add_angle, check_angle, check_beyond_pi
from facezoo.ops import Tensor, cosine_logits


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class SubCenterArcFace(MarginHead):
    """ArcFace on the nearest of a class's K centres: `cos(theta_c) = max_k cos(theta_ck)`.

    Args:
        num_classes: Number of identities C, at least 1.
        margin: Added to the target's angle, in [0, pi/2] radians, default 0.5 (28.6 degrees).
        scale: Factor in front of the cosine, above 0, default 64; None for `norm`.
        centers_per_class: K, at least 1, default 3; 1 is ArcFace.
        beyond_pi: `"linear"`, `"monotone"` or `"easy"`, as for `ArcFace`.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation; not looked at.
        label: int [B] in [0, C). A label outside is masked: its row carries no margin.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: An argument is out of range, or `label` is not int [B].

    Numerics:
        `centers` is [D, C * K]: column `c * K + k` is centre k of class c. Only the nearest centre
        of a class gets a gradient.

    Example:
        >>> import numpy as np
        >>> head = SubCenterArcFace(num_classes=1, margin=0.0, scale=8.0, centers_per_class=2)
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2)])
        >>> head(np.eye(2), np.ones(2), np.array([0, 0])).numpy().tolist()
        [[8.0], [8.0]]

    Source:
        Deng et al., "Sub-center ArcFace", ECCV 2020, section 3.2.
    """

    SOURCE = "Sub-center ArcFace, ECCV 2020, section 3.2"
    TINY = {"num_classes": 5, "margin": 0.3, "scale": 16.0, "centers_per_class": 2}

    def __init__(
        self,
        num_classes: int,
        margin: float = 0.5,
        scale: float | None = 64.0,
        centers_per_class: int = 3,
        beyond_pi: str = "linear",
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, scale, **kwargs)
        if int(centers_per_class) < 1:
            raise ValueError(
                f"centers_per_class must be at least 1. Received: {centers_per_class!r}."
            )
        self.margin = check_angle(margin)
        self.centers_per_class = int(centers_per_class)
        self.beyond_pi = check_beyond_pi(beyond_pi)

    def centers_shape(self, embedding_dim: int) -> tuple[int, int]:
        return (embedding_dim, self.num_classes * self.centers_per_class)

    def similarity(self, embedding: Tensor) -> Tensor:
        cosine = cosine_logits(embedding, self.centers)
        per_class = ops.reshape(cosine, (-1, self.num_classes, self.centers_per_class))
        return ops.max(per_class, axis=2)

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return add_angle(cosine, self.margin, self.beyond_pi)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "margin": self.margin,
            "centers_per_class": self.centers_per_class,
            "beyond_pi": self.beyond_pi,
        }
