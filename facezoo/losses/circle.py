"""Circle loss: every pair pulled as hard as it is far from its own optimum."""

from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.contracts import PairLoss
from facezoo.ops import Tensor, cosine_similarity, masked_logsumexp


def circle_loss(
    similarity: Tensor,
    is_positive: Tensor,
    is_negative: Tensor,
    margin: float = 0.25,
    scale: float = 256.0,
) -> Tensor:
    """`log(1 + sum_n exp(scale a_n (s_n - m)) * sum_p exp(-scale a_p (s_p - 1 + m)))`.

    Args:
        similarity: float32 [A, N], cosines of anchor and candidate.
        is_positive: bool [A, N], the genuine pairs.
        is_negative: bool [A, N], the impostor pairs.
        margin: m; the weights are `a_n = max(s_n + m, 0)` and `a_p = max(1 + m - s_p, 0)`.
        scale: The paper's gamma.

    Returns:
        float32 [A]; 0 for an anchor that lacks either kind of pair.
    """
    fixed = ops.stop_gradient(similarity)
    positive = -ops.relu(1.0 + margin - fixed) * (similarity - 1.0 + margin)
    negative = ops.relu(fixed + margin) * (similarity - margin)
    return ops.softplus(
        masked_logsumexp(scale * positive, is_positive)
        + masked_logsumexp(scale * negative, is_negative)
    )


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class CircleLoss(PairLoss):
    """Pulls genuine cosines to 1 and pushes impostor cosines to 0, the farther the harder.

    Args:
        margin: Relaxation m in [0, 1): satisfied are genuine cosines above `1 - margin` and
            impostor cosines below `margin`. The paper has 0.25 for faces (default), 0.4 for
            retrieval.
        scale: The paper's gamma, above 0: 256 for faces (default), 80 for retrieval.
        name: The loss's name in logs.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B]; 0 for a sample that lacks a genuine or an impostor pair.

    Raises:
        ValueError: An argument is out of range.

    Numerics:
        float32 under every precision policy. No gradient through the weights of the pairs, as in
        the paper: the gradient is not the derivative of the value.

    Example:
        >>> import numpy as np
        >>> loss = CircleLoss(margin=0.25, scale=4.0)
        >>> round(float(loss(np.array([0, 0, 1, 1]), np.eye(4))), 6)
        4.208133

    Source:
        Sun et al., "Circle Loss", arXiv 2002.10857, eq. 6 with the weights of eq. 5.
    """

    SOURCE = "Circle Loss, arXiv 2002.10857, eq. 6"
    TINY = {"margin": 0.25, "scale": 4.0}
    KNOWN_FAILURES = {
        "check_gradient_equals_finite_differences": "no gradient through the weights of the pairs"
    }

    def __init__(
        self,
        margin: float = 0.25,
        scale: float = 256.0,
        name: str = "circle_loss",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(name, reduction)
        if not 0.0 <= float(margin) < 1.0:
            raise ValueError(f"margin must be in [0, 1). Received: margin={margin!r}.")
        if not float(scale) > 0.0:
            raise ValueError(f"scale must be above 0. Received: scale={scale!r}.")
        self.margin = float(margin)
        self.scale = float(scale)

    def per_anchor(
        self, anchor: Tensor, candidate: Tensor, is_positive: Tensor, is_negative: Tensor
    ) -> Tensor:
        cosine = cosine_similarity(anchor, candidate)
        return circle_loss(cosine, is_positive, is_negative, self.margin, self.scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin, "scale": self.scale}
