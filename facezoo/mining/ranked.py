"""Negatives sorted once per anchor, which answer any number of questions about what is closer."""

from typing import NamedTuple

from keras import ops

from facezoo.ops import Tensor


class RankedNegatives(NamedTuple):
    """Each anchor's negatives, nearest first.

    Args:
        distances: float [A, N]; infinite behind the last negative.
        column: int32 [A, N], where they stood; behind the last negative, the other candidates.
        count: int32 [A, 1], how many there are.
    """

    distances: Tensor
    column: Tensor
    count: Tensor


def rank_negatives(distances: Tensor, is_negative: Tensor) -> RankedNegatives:
    """Sorts every anchor's negatives.

    Time is O(A N log N), memory O(A N).

    Args:
        distances: float [A, N], anchor to candidate.
        is_negative: bool [A, N].
    """
    candidates = ops.where(is_negative, -distances, float("-inf"))
    negated, column = ops.top_k(candidates, ops.shape(distances)[1])
    count = ops.sum(ops.cast(is_negative, "int32"), axis=1, keepdims=True)
    return RankedNegatives(-negated, ops.cast(column, "int32"), count)


def count_closer(ranked: RankedNegatives, radius: Tensor, is_asked: Tensor, side: str) -> Tensor:
    """Counts, for every anchor and radius, the negatives within the radius.

    Args:
        ranked: Of A anchors.
        radius: float [A, P].
        is_asked: bool [A, P], the radii to answer for.
        side: `"left"` for negatives closer than the radius, `"right"` for those at it as well.

    Returns:
        int32 [A, P], of no meaning where nothing was asked.
    """
    # One question for all that was not asked: unpredictable branches make the search slow.
    questions = ops.where(is_asked, radius, 0.0)

    def count(row: tuple[Tensor, Tensor]) -> Tensor:
        return ops.cast(ops.searchsorted(*row, side=side), "int32")

    # Not vectorised: compiled by XLA, a batched search would hold all A x N x P comparisons.
    return ops.minimum(ops.map(count, (ranked.distances, questions)), ranked.count)
