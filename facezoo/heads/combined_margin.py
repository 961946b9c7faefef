"""Combined margin: SphereFace's, ArcFace's and CosFace's margins in one formula."""

import math
from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.margin_head import MarginHead
from facezoo.margins import check_angle, monotone_cos, sine
from facezoo.ops import Tensor

_POLICIES = ("monotone", "none")


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class CombinedMargin(MarginHead):
    """All three margins: the target is `scale * (cos(margin1 * theta + margin2) - margin3)`.

    Args:
        num_classes: Number of identities C, at least 1.
        margin1: Factor of the target's angle, above 0, default 1.
        margin2: Added to the target's angle, in [0, pi/2] radians, default 0.3.
        margin3: Taken off the target's cosine, in [0, 1], default 0.2.
        scale: Factor in front of the cosine, above 0, default 64; None for `norm`.
        beyond_pi: What follows where `margin1 * theta + margin2` passes pi. `"monotone"`: the
            cosine is mirrored so that it falls on, `(-1)**k * cos(..) - 2k` after k times pi.
            `"none"`: the bare formula, in which it rises again.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation; not looked at.
        label: int [B] in [0, C). A label outside is masked: its row carries no margin.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: An argument is out of range, or `label` is not int [B].

    Numerics:
        The angle is the arc tangent of sine and cosine: gradient finite everywhere, and 0 at cosine
        +1 and -1. The published pairs are (1, 0.3, 0.2) and (0.9, 0.4, 0.15); with `margin1` below
        1 and little else the target may rise instead of fall.

    Example:
        >>> import numpy as np
        >>> head = CombinedMargin(2, margin2=np.pi / 3, margin3=0.25, scale=8.0)
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2)])
        >>> head(np.eye(2), np.ones(2), np.array([0, 1])).numpy().round(4).tolist()
        [[2.0, 0.0], [0.0, 2.0]]

    Source:
        Deng et al., "ArcFace", arXiv 1801.07698, eq. 4.
    """

    SOURCE = "ArcFace, arXiv 1801.07698, eq. 4"
    TINY = {"num_classes": 5, "margin1": 1.2, "margin2": 0.2, "margin3": 0.1, "scale": 16.0}

    def __init__(
        self,
        num_classes: int,
        margin1: float = 1.0,
        margin2: float = 0.3,
        margin3: float = 0.2,
        scale: float | None = 64.0,
        beyond_pi: str = "monotone",
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, scale, **kwargs)
        if not 0.0 < float(margin1) < math.inf:
            raise ValueError(
                f"margin1 must be above 0: a factor of the angle. Received: margin1={margin1!r}."
            )
        if not 0.0 <= float(margin3) <= 1.0:
            raise ValueError(
                f"margin3 must be in [0, 1], the unit of a cosine. Received: margin3={margin3!r}."
            )
        if beyond_pi not in _POLICIES:
            raise ValueError(f"beyond_pi must be one of {_POLICIES}. Received: {beyond_pi!r}.")
        self.margin1, self.margin3 = float(margin1), float(margin3)
        self.margin2 = check_angle(margin2, "margin2")
        self.beyond_pi = beyond_pi

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        angle = self.margin1 * ops.arctan2(sine(cosine), cosine) + self.margin2
        moved = monotone_cos(angle) if self.beyond_pi == "monotone" else ops.cos(angle)
        return moved - self.margin3

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "margin1": self.margin1,
            "margin2": self.margin2,
            "margin3": self.margin3,
            "beyond_pi": self.beyond_pi,
        }
