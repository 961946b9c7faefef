"""Softmax: the plain linear classifier on features, the baseline of every margin."""

from typing import Any

import keras

from facezoo import registry
from facezoo.margin_head import LinearHead


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class Softmax(LinearHead):
    """Linear classifier on features as they are: `logits = features @ centers + bias`.

    Nothing is normalised: `features = norm * embedding`, and centres have any length.

    Args:
        num_classes: Number of identities C, at least 1.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation.
        label: int [B]; not looked at.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: `num_classes` is out of range, or `label` is not int [B].

    Example:
        >>> import numpy as np
        >>> head = Softmax(num_classes=2)
        >>> head.build((None, 2))
        >>> head.set_weights([3 * np.eye(2), np.array([0.5, 0.0])])
        >>> head(np.eye(2), np.array([1.0, 2.0]), np.array([0, 1])).numpy().tolist()
        [[3.5, 0.0], [0.5, 6.0]]

    Source:
        ArcFace, arXiv 1801.07698, eq. 1.
    """

    SOURCE = "ArcFace, arXiv 1801.07698, eq. 1"
    TINY = {"num_classes": 5}

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(num_classes, scale=None, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["scale"]
        return config
