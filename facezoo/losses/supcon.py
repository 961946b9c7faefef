"""Supervised contrastive loss: each positive against everything else, as a softmax."""

from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.contracts import PairLoss
from facezoo.ops import Tensor, cosine_similarity, masked_logsumexp


def supcon_loss(
    similarity: Tensor, is_positive: Tensor, is_negative: Tensor, temperature: float = 0.07
) -> Tensor:
    """Mean over the positives of `log(sum_a exp(s_a / t)) - s_p / t`, with a over all pairs.

    Args:
        similarity: float32 [A, N], cosines of anchor and candidate.
        is_positive: bool [A, N], the genuine pairs.
        is_negative: bool [A, N], the impostor pairs.
        temperature: t.

    Returns:
        float32 [A]; 0 for an anchor without a positive.
    """
    logits = similarity / temperature
    partition = masked_logsumexp(logits, ops.logical_or(is_positive, is_negative))
    count = ops.sum(ops.cast(is_positive, logits.dtype), axis=1)
    mean = ops.sum(ops.where(is_positive, logits, 0.0), axis=1) / ops.maximum(count, 1.0)
    return ops.where(count > 0.0, partition - mean, 0.0)


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class SupConLoss(PairLoss):
    """Supervised contrastive loss, the form with the sum over positives outside the logarithm.

    Args:
        temperature: Divides the cosines, above 0, default 0.07.
        name: The loss's name in logs.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B]; 0 for a sample without a genuine pair. The perfect batch has
        the logarithm of the number of positives, not 0.

    Raises:
        ValueError: `temperature` is out of range.

    Numerics:
        float32 under every precision policy.

    Example:
        >>> import numpy as np
        >>> loss = SupConLoss()
        >>> round(float(loss(np.array([0, 0, 1, 1]), np.eye(4))), 6)
        1.098612

    Source:
        Khosla et al., "Supervised Contrastive Learning", arXiv 2004.11362, eq. 2 (L_out).
    """

    SOURCE = "Supervised Contrastive Learning, arXiv 2004.11362, eq. 2"
    TINY = {"temperature": 0.5}

    def __init__(
        self,
        temperature: float = 0.07,
        name: str = "supcon_loss",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(name, reduction)
        if not float(temperature) > 0.0:
            raise ValueError(f"temperature must be above 0. Received: temperature={temperature!r}.")
        self.temperature = float(temperature)

    def per_anchor(
        self, anchor: Tensor, candidate: Tensor, is_positive: Tensor, is_negative: Tensor
    ) -> Tensor:
        cosine = cosine_similarity(anchor, candidate)
        return supcon_loss(cosine, is_positive, is_negative, self.temperature)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
