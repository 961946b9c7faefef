"""L2-softmax: a linear classifier on features that were brought to one length."""

import math
from typing import Any

import keras

from facezoo import registry
from facezoo.margin_head import LinearHead


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class L2Softmax(LinearHead):
    """Linear classifier on features of length `scale`: `scale * embedding @ centers + bias`.

    Args:
        num_classes: Number of identities C, at least 1.
        scale: The paper's alpha, length of the features, above 0, default 16; `min_scale` says how
            little is too little. None for `norm`, which is `Softmax`.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation; not looked at.
        label: int [B]; not looked at.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: `num_classes` or `scale` is out of range, or `label` is not int [B].

    Example:
        >>> import numpy as np
        >>> head = L2Softmax(num_classes=2, scale=8.0)
        >>> head.build((None, 2))
        >>> head.set_weights([3 * np.eye(2), np.array([0.5, 0.0])])
        >>> head(np.eye(2), np.ones(2), np.array([0, 1])).numpy().tolist()
        [[24.5, 0.0], [0.5, 24.0]]
        >>> round(L2Softmax.min_scale(10_575), 2)
        11.46

    Source:
        Ranjan et al., "L2-constrained Softmax Loss", arXiv 1703.09507, sections
        "Proposed Method" and "Bounds on Parameter alpha".
    """

    SOURCE = "L2-constrained softmax, arXiv 1703.09507, Proposed Method; Bounds on Parameter alpha"
    TINY = {"num_classes": 5, "scale": 16.0}

    def __init__(self, num_classes: int, scale: float | None = 16.0, **kwargs: Any) -> None:
        super().__init__(num_classes, scale, **kwargs)

    @staticmethod
    def min_scale(num_classes: int, probability: float = 0.9) -> float:
        """Least scale that lets the softmax of a perfect embedding reach a probability.

        `ln(p (C - 2) / (1 - p))`: unit centres, one of them opposite, the others at right angles.

        Args:
            num_classes: C, at least 3.
            probability: p, in (0, 1).

        Raises:
            ValueError: An argument is out of range.
        """
        if num_classes < 3 or not 0.0 < probability < 1.0:
            raise ValueError(
                "num_classes must be at least 3 and probability in (0, 1). "
                f"Received: num_classes={num_classes!r}, probability={probability!r}."
            )
        return math.log(probability * (num_classes - 2) / (1.0 - probability))
