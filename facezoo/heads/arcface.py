"""ArcFace: a margin added to the angle with the sample's own class centre."""

from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.margin_head import MarginHead
from facezoo.margins import add_angle, check_angle, check_beyond_pi
from facezoo.ops import Tensor


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class ArcFace(MarginHead):
    """Additive angular margin: the target logit is `scale * cos(theta + margin)`.

    Args:
        num_classes: Number of identities C, at least 1.
        margin: Added to the target's angle, in [0, pi/2] radians, default 0.5 (28.6 degrees).
        scale: Factor in front of the cosine, above 0, default 64; None for `norm`.
        beyond_pi: What the target's cosine becomes where `theta + margin` passes pi and
            `cos(theta + margin)` would reward the sample for being farther off.
            `"linear"`: `cos(theta) - margin * sin(margin)`, as in the authors' code.
            `"monotone"`: `-2 - cos(theta + margin)`, which joins without a step.
            `"easy"`: no margin at all for angles of pi/2 and more.
        straight_through: False for the gradient of the formula, `sin(theta + margin) / sin(theta)`
            times that of the cosine; True for that of the cosine, as in insightface's PyTorch
            code, which adds the margin outside of the graph.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation; not looked at.
        label: int [B] in [0, C). A label outside is masked: its row carries no margin.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: An argument is out of range, or `label` is not int [B].

    Numerics:
        The angle is never computed: the gradient is finite at every cosine. At +1 and -1 exactly,
        where that of the formula is infinite, it is `cos(margin)`.

    Example:
        >>> import numpy as np
        >>> head = ArcFace(num_classes=2, margin=np.pi / 3, scale=8.0)
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2)])
        >>> head(np.eye(2), np.ones(2), np.array([0, 1])).numpy().round(4).tolist()
        [[4.0, 0.0], [0.0, 4.0]]

    Source:
        Deng et al., "ArcFace", arXiv 1801.07698, eq. 3.
    """

    SOURCE = "ArcFace, arXiv 1801.07698, eq. 3"
    TINY = {"num_classes": 5, "margin": 0.3, "scale": 16.0}

    def __init__(
        self,
        num_classes: int,
        margin: float = 0.5,
        scale: float | None = 64.0,
        beyond_pi: str = "linear",
        straight_through: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, scale, **kwargs)
        self.margin = check_angle(margin)
        self.beyond_pi = check_beyond_pi(beyond_pi)
        self.straight_through = bool(straight_through)

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        moved = add_angle(cosine, self.margin, self.beyond_pi)
        return cosine + ops.stop_gradient(moved - cosine) if self.straight_through else moved

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "margin": self.margin,
            "beyond_pi": self.beyond_pi,
            "straight_through": self.straight_through,
        }
