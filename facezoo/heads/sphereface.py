"""SphereFace: the angle with the sample's own class centre, multiplied (A-softmax)."""

from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.margin_head import MarginHead
from facezoo.margins import monotone_cos_of_multiple
from facezoo.ops import Tensor


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class SphereFace(MarginHead):
    """Multiplied angle, eased in: the target is `(l * cos(theta) + psi(theta)) / (1 + l)`.

    `psi(theta) = (-1)**k * cos(margin * theta) - 2k`, where theta is between `k * pi / margin` and
    `(k + 1) * pi / margin`, k at most `margin - 1`, falls all the way from 0 to pi. The weight of
    the plain cosine, `l = max(lambda_min, lambda_start / (1 + lambda_decay * iteration))`, falls
    with the training steps; `iteration` counts them and is saved with the head. The cosines are
    multiplied by `norm`.

    Args:
        num_classes: Number of identities C, at least 1.
        margin: How many times the angle, a whole number of at least 1, default 4.
        scale: None for `norm`, as published; else a number above 0 in its place.
        lambda_start: l before the first step, at least 0, default 1000.
        lambda_decay: How fast l falls, at least 0, default 0.12.
        lambda_min: Below it l does not fall, at least 0, default 5.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation.
        label: int [B] in [0, C). A label outside is masked: its row carries no margin.
        training: bool, whether the step is counted, before it is used.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: An argument is out of range, or `label` is not int [B].

    Numerics:
        `cos(margin * theta)` is a polynomial of the cosine: the gradient is that of the formula,
        finite everywhere. The authors' code scales its gradient.

    Example:
        >>> import numpy as np
        >>> head = SphereFace(num_classes=2, margin=2, lambda_start=0.0, lambda_min=0.0)
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2), np.float32(0.0)])
        >>> head(np.eye(2), np.array([3.0, 3.0]), np.array([0, 0])).numpy().tolist()
        [[3.0, 0.0], [-3.0, 3.0]]

    Source:
        Liu et al., "SphereFace", arXiv 1704.08063, eq. 7; l as in its code and in "Large-Margin
        Softmax Loss", arXiv 1612.02295.
    """

    SOURCE = "SphereFace, arXiv 1704.08063, eq. 7"
    TINY = {"num_classes": 5, "margin": 3, "lambda_start": 2.0, "lambda_min": 1.0}

    def __init__(
        self,
        num_classes: int,
        margin: int = 4,
        scale: float | None = None,
        lambda_start: float = 1000.0,
        lambda_decay: float = 0.12,
        lambda_min: float = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, scale, **kwargs)
        if not (float(margin) >= 1.0 and float(margin).is_integer()):
            raise ValueError(
                "margin must be a whole number of at least 1: the angle is multiplied by it. "
                f"Received: margin={margin!r}. The published one is 4."
            )
        self.margin = int(margin)
        self.lambda_start = _check_weight("lambda_start", lambda_start)
        self.lambda_decay = _check_weight("lambda_decay", lambda_decay)
        self.lambda_min = _check_weight("lambda_min", lambda_min)

    def build_state(self) -> None:
        self.iteration = self.add_statistic("iteration", 0.0)

    def observe(self, cosine: Tensor, norm: Tensor, is_known: Tensor) -> None:
        self.iteration.assign(self.iteration + 1.0)

    def cosine_weight(self) -> Tensor:
        """Returns l, the present weight of the plain cosine, float32 scalar."""
        falling = self.lambda_start / (1.0 + self.lambda_decay * self.iteration)
        return ops.maximum(falling, self.lambda_min)

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        weight = self.cosine_weight()
        psi = monotone_cos_of_multiple(cosine, self.margin)
        return (weight * cosine + psi) / (1.0 + weight)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "margin": self.margin,
            "lambda_start": self.lambda_start,
            "lambda_decay": self.lambda_decay,
            "lambda_min": self.lambda_min,
        }


def _check_weight(name: str, value: float) -> float:
    if not float(value) >= 0.0:
        raise ValueError(f"{name} must be at least 0. Received: {name}={value!r}.")
    return float(value)
