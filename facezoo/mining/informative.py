"""Informative pairs: genuine ones less alike than an impostor pair is, and the reverse."""

from keras import ops

from facezoo.ops import Tensor


def informative_pairs(
    similarity: Tensor, is_positive: Tensor, is_negative: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """Keeps the pairs that an anchor could confuse, or nearly so.

    A genuine pair is kept if its similarity is below that of the anchor's most similar impostor
    pair plus `epsilon`; an impostor pair if it is above the least similar genuine pair minus it.

    Args:
        similarity: float [A, N], anchor to candidate.
        is_positive: bool [A, N], the genuine pairs to choose from.
        is_negative: bool [A, N], the impostor pairs to choose from.
        epsilon: How near is near, in units of the similarity.

    Returns:
        `(is_positive, is_negative)`, bool [A, N]; no pair is kept of an anchor that lacks a kind.

    Source:
        Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning",
        arXiv 1904.06627, section 4.
    """
    most_alike = ops.max(ops.where(is_negative, similarity, -float("inf")), axis=1, keepdims=True)
    least_alike = ops.min(ops.where(is_positive, similarity, float("inf")), axis=1, keepdims=True)
    return (
        ops.logical_and(is_positive, similarity < most_alike + epsilon),
        ops.logical_and(is_negative, similarity > least_alike - epsilon),
    )
