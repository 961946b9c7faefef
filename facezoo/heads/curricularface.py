"""CurricularFace: ArcFace whose hard negatives count little at first and much in the end."""

from typing import Any

import keras
from keras import ops

from facezoo import registry, shapes
from facezoo.margin_head import MarginHead
from facezoo.margins import add_angle, check_angle, check_beyond_pi
from facezoo.ops import Tensor
from facezoo.replicas import gather_batch


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class CurricularFace(MarginHead):
    """Hard negatives, weighted by the progress of the training.

    A cosine with another class that is above the target's `cos(theta + margin)` becomes
    `cosine * (t + cosine)`. `t` is the running mean of the cosine with the own class, 0 at first,
    towards 1 as the training succeeds; it is saved with the head.

    Args:
        num_classes: Number of identities C, at least 1.
        margin: Added to the target's angle, in [0, pi/2] radians, default 0.5 (28.6 degrees).
        scale: Factor in front of the cosine, above 0, default 64; None for `norm`.
        momentum: Share of `t` that a step keeps, in [0, 1), default 0.99.
        beyond_pi: `"linear"`, `"monotone"` or `"easy"`, as for `ArcFace`.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation; not looked at.
        label: int [B] in [0, C). A label outside is masked: its row carries no margin.
        training: bool, whether `t` moves, before it is used.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: An argument is out of range, or `label` is not int [B].

    Numerics:
        `t` has no gradient. Under `tf.distribute` it is that of the global batch. Masked labels do
        not move it.

    Example:
        >>> import numpy as np
        >>> head = CurricularFace(num_classes=2, margin=0.0, scale=8.0)
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2), np.float32(0.25)])
        >>> head(np.array([[0.0, 1.0]]), np.ones(1), np.array([0])).numpy().tolist()
        [[0.0, 10.0]]

    Source:
        Huang et al., "CurricularFace", arXiv 2004.00288, section 3.2.
    """

    SOURCE = "CurricularFace, arXiv 2004.00288, section 3.2"
    TINY = {"num_classes": 5, "margin": 0.3, "scale": 16.0}
    KNOWN_FAILURES = {
        "check_only_target_column_changes": "hard negatives are re-weighted: the method itself",
        "check_without_margin_the_label_does_not_matter": "so they are with margin 0",
    }

    def __init__(
        self,
        num_classes: int,
        margin: float = 0.5,
        scale: float | None = 64.0,
        momentum: float = 0.99,
        beyond_pi: str = "linear",
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, scale, **kwargs)
        if not 0.0 <= float(momentum) < 1.0:
            raise ValueError(f"momentum must be in [0, 1). Received: momentum={momentum!r}.")
        self.margin = check_angle(margin)
        self.momentum = float(momentum)
        self.beyond_pi = check_beyond_pi(beyond_pi)

    def build_state(self) -> None:
        self.t = self.add_statistic("t", 0.0)

    def observe(self, cosine: Tensor, norm: Tensor, is_known: Tensor) -> None:
        (cosine, is_known), _ = gather_batch(cosine, ops.cast(is_known, shapes.FLOAT))
        num_known = ops.sum(is_known)
        mean = ops.sum(cosine * is_known) / ops.maximum(num_known, 1.0)
        step = (1.0 - self.momentum) * (mean - self.t)
        self.t.assign(self.t + ops.where(num_known > 0.0, step, 0.0))

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        return add_angle(cosine, self.margin, self.beyond_pi)

    def other_cosines(self, cosine: Tensor, target: Tensor) -> Tensor:
        return ops.where(cosine > target, cosine * (self.t + cosine), cosine)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "margin": self.margin,
            "momentum": self.momentum,
            "beyond_pi": self.beyond_pi,
        }
