"""Semi-hard negatives: for each anchor-positive pair the nearest negative beyond the positive."""

from keras import ops

from facezoo.mining.ranked import count_closer, rank_negatives
from facezoo.ops import Tensor, take_in_row

# A walk takes a few passes over A x N for each positive, sorting takes as many as 60 of them.
_LONGEST_WALK = 64


def semi_hard_negatives(
    distances: Tensor, positive_distances: Tensor, is_pair: Tensor, is_negative: Tensor
) -> Tensor:
    """Chooses for every anchor-positive pair the negative that teaches.

    That is the nearest negative strictly farther from the anchor than the positive is; where there
    is none, the farthest negative of all (tensorflow-addons' rule). Memory is O(A N); time is
    O(A N P) for P up to 64 and O(A N log N) above.

    Args:
        distances: float [A, N], anchor to candidate, 0 or more.
        positive_distances: float [A, P], anchor to positive.
        is_pair: bool [A, P], the positives to answer for.
        is_negative: bool [A, N], the candidates to choose from.

    Returns:
        int32 [A, P], the column of the chosen negative. It carries no meaning where `is_pair` is
        false, nor in the row of an anchor without negatives.

    Source:
        FaceNet, arXiv 1503.03832, eq. 4; the fall-back is tensorflow-addons 0.23's.
    """
    num_positives = positive_distances.shape[1]
    if num_positives is not None and num_positives <= _LONGEST_WALK:
        return _by_walking(distances, positive_distances, is_pair, is_negative)
    ranked = rank_negatives(distances, is_negative)
    num_not_beyond = count_closer(ranked, positive_distances, is_pair, side="right")
    return take_in_row(ranked.column, ops.minimum(num_not_beyond, ops.maximum(ranked.count - 1, 0)))


def _by_walking(
    distances: Tensor, positive_distances: Tensor, is_pair: Tensor, is_negative: Tensor
) -> Tensor:
    """From positive to positive outwards, dropping the negatives that are left behind."""
    num_anchors, num_positives = ops.shape(positive_distances)
    # All distances are negated: the largest is found in one pass, `argmin` in Keras takes four.
    outwards, order = ops.top_k(
        ops.where(is_pair, -positive_distances, float("-inf")), num_positives
    )
    outwards = ops.transpose(outwards)
    num_steps = ops.max(ops.sum(ops.cast(is_pair, "int32"), axis=1))

    def step(number: Tensor, candidates: Tensor, chosen: Tensor) -> tuple[Tensor, ...]:
        is_beyond = candidates < ops.take(outwards, number, axis=0)[:, None]
        candidates = ops.where(is_beyond, candidates, float("-inf"))
        distance, nearest = ops.top_k(candidates, 1)
        found = ops.where(ops.isfinite(distance), ops.cast(nearest, "int32"), farthest)
        return number + 1, candidates, ops.slice_update(chosen, (number, 0), ops.transpose(found))

    _, farthest = ops.top_k(ops.where(is_negative, distances, float("-inf")), 1)
    farthest = ops.cast(farthest, "int32")
    _, _, chosen = ops.while_loop(
        lambda number, *_: number < num_steps,
        step,
        (
            ops.convert_to_tensor(0, "int32"),
            ops.where(is_negative, -distances, float("-inf")),
            ops.zeros((num_positives, num_anchors), "int32"),
        ),
    )
    place = ops.cast(ops.argsort(ops.cast(order, "int32"), axis=1), "int32")
    return take_in_row(ops.transpose(chosen), place)
