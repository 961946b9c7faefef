"""NormFace: softmax on scaled cosines; what every margin head is when its margin is 0."""

import keras

from facezoo import registry
from facezoo.margin_head import MarginHead


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class NormFace(MarginHead):
    """Scaled cosine to every class centre: `logits = scale * cosine`.

    Args:
        num_classes: Number of identities C, at least 1.
        scale: Factor in front of the cosine, above 0, default 64; None for `norm`.

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
        >>> head = NormFace(num_classes=2, scale=8.0)
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2)])
        >>> head(np.eye(2), np.ones(2), np.array([0, 1])).numpy().tolist()
        [[8.0, 0.0], [0.0, 8.0]]

    Source:
        Wang et al., "NormFace", arXiv 1704.06369; L_ns in CosFace, arXiv 1801.09414, eq. 3.
    """

    SOURCE = "NormFace, arXiv 1704.06369; CosFace, arXiv 1801.09414, eq. 3 (L_ns)"
    TINY = {"num_classes": 5, "scale": 16.0}
