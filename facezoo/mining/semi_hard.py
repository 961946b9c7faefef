"""Semi-hard negatives: for each anchor-positive pair the nearest negative beyond the positive."""

from keras import ops

from facezoo.ops import Tensor


def semi_hard_negatives(distances: Tensor, is_positive: Tensor, is_negative: Tensor) -> Tensor:
    """Chooses for every anchor-positive pair the negative that teaches.

    That is the nearest negative strictly farther from the anchor than the positive is; where there
    is none, the farthest negative of all (tensorflow-addons' rule).

    Time is O(A N log N), memory O(A N): anchor after anchor, the negatives are sorted once.

    Args:
        distances: float [A, N], anchor to candidate, 0 or more.
        is_positive: bool [A, N], the pairs to answer for.
        is_negative: bool [A, N], the candidates to choose from.

    Returns:
        int32 [A, N]: at [a, p] the column of the chosen negative. It carries no meaning where
        `is_positive` is false, nor in the row of an anchor without negatives.

    Source:
        FaceNet, arXiv 1503.03832, eq. 4; the fall-back is tensorflow-addons 0.23's.
    """
    # Not vectorised: compiled by XLA, a batched search would hold all A x N x N comparisons.
    return ops.map(_negatives_of_anchor, (distances, is_positive, is_negative))


def _negatives_of_anchor(row: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    distances, is_positive, is_negative = row
    candidates = ops.where(is_negative, distances, float("inf"))
    negated, nearest_first = ops.top_k(-candidates, ops.shape(distances)[0])
    # One query for all that is no pair: unpredictable branches are what makes the search slow.
    queries = ops.where(is_positive, distances, 0.0)
    num_not_beyond = ops.cast(ops.searchsorted(-negated, queries, side="right"), "int32")
    farthest = ops.maximum(ops.count_nonzero(is_negative) - 1, 0)
    return ops.cast(ops.take(nearest_first, ops.minimum(num_not_beyond, farthest)), "int32")
