"""MagFace: an angular margin that grows with the length of the features, and rewards length."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.margin_head import MarginHead
from facezoo.margins import add_angle, check_beyond_pi
from facezoo.ops import Tensor


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class MagFace(MarginHead):
    """ArcFace with a margin by norm, so that the norm comes to tell the quality of an image.

    The target is `scale * cos(theta + m(norm))`; m rises linearly over `norm_range` from one end of
    `margin_range` to the other. `FaceModel` adds, per sample, `regularization * g(norm)` with
    `g(a) = 1 / a + a / u**2`, which falls up to `a = u`, the upper end of `norm_range`.

    Args:
        num_classes: Number of identities C, at least 1.
        margin_range: Least and greatest margin, in [0, pi/2] radians, default (0.45, 0.8).
        norm_range: Norms between which the margin rises, above 0, default (10, 110).
        regularization: The paper's lambda_g, at least 0, default 35.
        scale: Factor in front of the cosine, above 0, default 64; None for `norm`.
        beyond_pi: `"linear"`, `"monotone"` or `"easy"`, as for `ArcFace`. `"easy"`, the default, is
            what the authors' code does.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation.
        label: int [B] in [0, C). A label outside is masked: its row carries no margin.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: An argument is out of range, or `label` is not int [B].

    Numerics:
        Norms are clipped to `norm_range` first, as in the authors' code: a norm outside has no
        gradient, and 0 is harmless. Features should start inside: batch normalisation behind the
        last dense layer starts them at the square root of D.

    Example:
        >>> import numpy as np
        >>> head = MagFace(2, margin_range=(0.0, np.pi / 3), norm_range=(10, 20), scale=8.0)
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2)])
        >>> head(np.eye(2), np.array([10.0, 20.0]), np.array([0, 1])).numpy().round(4).tolist()
        [[8.0, 0.0], [0.0, 4.0]]

    Source:
        Meng et al., "MagFace", arXiv 2103.06627, section 3.2 (L_Mag).
    """

    SOURCE = "MagFace, arXiv 2103.06627, section 3.2 (L_Mag)"
    TINY = {"num_classes": 5, "scale": 16.0, "beyond_pi": "linear"}

    def __init__(
        self,
        num_classes: int,
        margin_range: Sequence[float] = (0.45, 0.8),
        norm_range: Sequence[float] = (10.0, 110.0),
        regularization: float = 35.0,
        scale: float | None = 64.0,
        beyond_pi: str = "easy",
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, scale, **kwargs)
        if not 0.0 <= margin_range[0] <= margin_range[1] <= math.pi / 2:
            raise ValueError(
                "margin_range must rise within [0, pi/2] radians. "
                f"Received: margin_range={margin_range!r}. Is it in degrees?"
            )
        if not 0.0 < norm_range[0] < norm_range[1] < math.inf:
            raise ValueError(
                f"norm_range must rise, from above 0. Received: norm_range={norm_range!r}."
            )
        if not float(regularization) >= 0.0:
            raise ValueError(
                f"regularization must be at least 0. Received: regularization={regularization!r}."
            )
        self.margin_range = tuple(float(end) for end in margin_range)
        self.norm_range = tuple(float(end) for end in norm_range)
        self.regularization = float(regularization)
        self.beyond_pi = check_beyond_pi(beyond_pi)

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        (low, high), (least, greatest) = self.norm_range, self.margin_range
        slope = (greatest - least) / (high - low)
        margin = least + slope * (ops.clip(norm, low, high) - low)
        return add_angle(cosine, margin, self.beyond_pi)

    def penalty(self, norm: Tensor, label: Tensor) -> Tensor:
        norm = ops.clip(norm, *self.norm_range)
        return self.regularization * (1.0 / norm + norm / self.norm_range[1] ** 2)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "margin_range": list(self.margin_range),
            "norm_range": list(self.norm_range),
            "regularization": self.regularization,
            "beyond_pi": self.beyond_pi,
        }
