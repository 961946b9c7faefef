"""Multi-similarity loss: the informative pairs of an anchor, the more so the more they err."""

from typing import Any

import keras
from keras import ops

from facezoo import registry
from facezoo.contracts import PairLoss
from facezoo.mining import informative_pairs
from facezoo.ops import Tensor, cosine_similarity, masked_logsumexp


def multi_similarity_loss(
    similarity: Tensor,
    is_positive: Tensor,
    is_negative: Tensor,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
) -> Tensor:
    """`log(1 + sum exp(-alpha (s_p - base))) / alpha + log(1 + sum exp(beta (s_n - base))) / beta`.

    Args:
        similarity: float32 [A, N], cosines of anchor and candidate.
        is_positive: bool [A, N], the genuine pairs.
        is_negative: bool [A, N], the impostor pairs.
        alpha: See `MultiSimilarityLoss`.
        beta: See `MultiSimilarityLoss`.
        base: See `MultiSimilarityLoss`.

    Returns:
        float32 [A]; 0 for an anchor without any pair.
    """
    excess = similarity - base
    positive = ops.softplus(masked_logsumexp(-alpha * excess, is_positive))
    negative = ops.softplus(masked_logsumexp(beta * excess, is_negative))
    return positive / alpha + negative / beta


@registry.register("loss")
@keras.saving.register_keras_serializable("facezoo")
class MultiSimilarityLoss(PairLoss):
    """Keeps the pairs an anchor could confuse, and weighs each by itself and by the others.

    Args:
        alpha: Sharpness for genuine pairs, above 0, default 2.
        beta: Sharpness for impostor pairs, above 0, default 50.
        base: Cosine that genuine pairs shall exceed and impostor pairs stay below, default 0.5 as
            in the authors' code; the paper's text has 1.
        epsilon: Tolerance of the mining, as in `facezoo.mining.informative_pairs`, default 0.1;
            None to look at all pairs, as pytorch-metric-learning does without a miner.
        name: The loss's name in logs.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B]; 0 for a sample without an informative pair.

    Raises:
        ValueError: An argument is out of range.

    Numerics:
        float32 under every precision policy. No gradient through the choice of pairs.

    Example:
        >>> import numpy as np
        >>> round(float(MultiSimilarityLoss()(np.array([0, 0, 1, 1]), np.eye(4))), 6)
        0.656631

    Source:
        Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning",
        arXiv 1904.06627, mining and loss of section 4.
    """

    SOURCE = "Multi-Similarity Loss, arXiv 1904.06627, section 4"
    TINY = {"alpha": 2.0, "beta": 10.0}

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
        epsilon: float | None = 0.1,
        name: str = "multi_similarity_loss",
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(name, reduction)
        for argument, value in (("alpha", alpha), ("beta", beta)):
            if not float(value) > 0.0:
                raise ValueError(f"{argument} must be above 0. Received: {argument}={value!r}.")
        if epsilon is not None and not float(epsilon) >= 0.0:
            raise ValueError(f"epsilon must be 0 or more, or None. Received: epsilon={epsilon!r}.")
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.base = float(base)
        self.epsilon = None if epsilon is None else float(epsilon)

    def per_anchor(
        self, anchor: Tensor, candidate: Tensor, is_positive: Tensor, is_negative: Tensor
    ) -> Tensor:
        cosine = cosine_similarity(anchor, candidate)
        if self.epsilon is not None:
            is_positive, is_negative = informative_pairs(
                ops.stop_gradient(cosine), is_positive, is_negative, self.epsilon
            )
        return multi_similarity_loss(
            cosine, is_positive, is_negative, self.alpha, self.beta, self.base
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "beta": self.beta,
            "base": self.base,
            "epsilon": self.epsilon,
        }
