"""Random violating negatives: for each pair any of the negatives that come too close."""

from keras import ops

from facezoo.mining.ranked import count_closer, rank_negatives
from facezoo.ops import Tensor, take_in_row

# Takes the digits of a distance that no geometry explains to the front.
_SCATTER = 7919.0


def random_violating_negatives(
    distances: Tensor,
    positive_distances: Tensor,
    is_pair: Tensor,
    is_negative: Tensor,
    margin: float,
) -> Tensor:
    """Chooses for every anchor-positive pair one of the negatives closer than `d_ap + margin`.

    Every one of them is equally likely. Where there is none, the nearest negative is chosen: it
    violates nothing.

    Args:
        distances: float [A, N], anchor to candidate, 0 or more.
        positive_distances: float [A, P], anchor to positive.
        is_pair: bool [A, P], the positives to answer for.
        is_negative: bool [A, N], the candidates to choose from.
        margin: Least wanted difference of the distances.

    Returns:
        int32 [A, P], the column of the chosen negative. It carries no meaning where `is_pair` is
        false, nor in the row of an anchor without negatives.

    Numerics:
        The draw is a hash of the pair's distance: it needs no state, changes as soon as the
        embeddings do, and is the same on every replica.

    Source:
        The selection of github.com/davidsandberg/facenet, train_tripletloss.py.
    """
    ranked = rank_negatives(distances, is_negative)
    num_violating = count_closer(ranked, positive_distances + margin, is_pair, side="left")
    scattered = positive_distances * _SCATTER
    draw = scattered - ops.floor(scattered)
    rank = ops.cast(ops.floor(draw * ops.cast(num_violating, draw.dtype)), "int32")
    return take_in_row(ranked.column, ops.minimum(rank, ops.maximum(num_violating - 1, 0)))
