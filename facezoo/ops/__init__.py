"""Stateless tensor maths on `keras.ops` that stays finite where the plain formulas do not."""

from facezoo.ops.distances import (
    DISTANCES,
    cross_distance,
    distance_blocks,
    pairwise_distance,
)
from facezoo.ops.quantization import calibrate_scale, dequantize, quantize, uniform_scale
from facezoo.ops.similarity import MASKED, cosine_similarity, masked_logsumexp
from facezoo.ops.vectors import (
    Tensor,
    cosine_logits,
    l2_normalize,
    safe_sqrt,
    take_in_row,
)

__all__ = [
    "DISTANCES",
    "MASKED",
    "Tensor",
    "calibrate_scale",
    "cosine_logits",
    "cosine_similarity",
    "cross_distance",
    "dequantize",
    "distance_blocks",
    "l2_normalize",
    "masked_logsumexp",
    "pairwise_distance",
    "quantize",
    "safe_sqrt",
    "take_in_row",
    "uniform_scale",
]
