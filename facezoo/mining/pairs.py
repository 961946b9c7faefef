"""Pairs: which images of a batch show one person, and which show two."""

from typing import NamedTuple

from keras import ops

from facezoo.ops import Tensor


class PositivePairs(NamedTuple):
    """The positives of every anchor, as a list for each.

    Args:
        column: int32 [A, P], where in the batch the positives stand.
        is_pair: bool [A, P]; where false, the column fills a gap and carries no meaning.
    """

    column: Tensor
    is_pair: Tensor


def pair_masks(label: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the genuine and the impostor pairs of a batch.

    Args:
        label: [B], equal numbers for equal identities.

    Returns:
        `(is_positive, is_negative)`, bool [B, B]; an image is no pair with itself.
    """
    row = ops.arange(ops.shape(label)[0])
    is_same = ops.equal(label[:, None], label[None, :])
    is_other = ops.not_equal(row[:, None], row[None, :])
    return ops.logical_and(is_same, is_other), ops.logical_not(is_same)


def all_positives(is_positive: Tensor) -> PositivePairs:
    """Returns every candidate as a possible positive of every anchor: bool [A, N] -> P = N."""
    column = ops.arange(ops.shape(is_positive)[1], dtype="int32")
    return PositivePairs(ops.broadcast_to(column, ops.shape(is_positive)), is_positive)


def list_positives(label: Tensor, limit: int) -> tuple[PositivePairs, Tensor]:
    """Lists the positives of every anchor, which in a batch of P x K are few.

    Time is O(B log B), memory O(B limit).

    Args:
        label: [B], equal numbers for equal identities.
        limit: The most positives that are listed for an anchor.

    Returns:
        `(pairs, is_complete)`: the list with P = limit, and whether it left out nothing, bool [].
    """
    order = ops.cast(ops.argsort(label), "int32")
    ordered = ops.take(label, order)
    first, end = (
        ops.cast(ops.searchsorted(ordered, label, side=side), "int32") for side in ("left", "right")
    )
    size = end - first
    # The identity's images stand in a ring, and every anchor goes round it from its own place.
    place = ops.cast(ops.argsort(order), "int32") - first
    step = ops.arange(1, limit + 1, dtype="int32")
    column = first[:, None] + (place[:, None] + step) % size[:, None]
    return PositivePairs(ops.take(order, column), step < size[:, None]), ops.max(size) <= limit + 1
