"""What the triplet losses share: which triplets are made, what they add up to, how they fare."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from keras import ops

from facezoo import mining
from facezoo.contracts import MiningLoss
from facezoo.distance_loss import DistanceLoss, check_one_of, shares
from facezoo.mining import PositivePairs
from facezoo.observation import observe
from facezoo.ops import Tensor, pairwise_distance, take_in_row

# Beyond so many positives per anchor all columns are looked at, which costs a little more.
_MAX_LISTED = 64
# A collapse: the loss within 1 % of what it is without distances, no variance to speak of.
_LOSS_AT_REST, _VARIANCE_AT_REST = 0.01, 1e-4


@dataclass(frozen=True)
class TripletRule:
    """Which triplets a batch gives, and what each costs.

    Args:
        margin: A triplet costs `max(d_ap - d_an + margin, 0)`.
        positives: `"all"` pairs of an anchor with a positive, or the `"hardest"` (farthest).
        negatives: For each of these pairs `"semi-hard"` (the nearest beyond the positive, else
            the farthest), `"hardest"` (the nearest) or `"random"` (any that violates the margin).
        anchors_without_negatives: `"skip"` leaves them out; `"tfa"` counts them as
            tensorflow-addons does: at a semi-hard loss as if a negative lay at the anchor, at a
            hard one as if it lay at the positive. There, an anchor without positives counts as its
            own positive, if there is a pair in the batch.
        soft: The cost is `log(1 + exp(d_ap - d_an))`.

    Raises:
        ValueError: An argument is none of the words above.
    """

    margin: float
    positives: str = "all"
    negatives: str = "semi-hard"
    anchors_without_negatives: str = "skip"
    soft: bool = False

    def __post_init__(self) -> None:
        check_one_of(("all", "hardest"), positives=self.positives)
        check_one_of(("semi-hard", "hardest", "random"), negatives=self.negatives)
        check_one_of(("skip", "tfa"), anchors_without_negatives=self.anchors_without_negatives)

    def cost(self, difference: Tensor) -> Tensor:
        """Returns what triplets cost whose `d_ap - d_an` is given."""
        return ops.softplus(difference) if self.soft else ops.relu(difference + self.margin)


class TripletSums(NamedTuple):
    """Per anchor, float [B]: costs, how many triplets, of what kind, and their distances."""

    cost: Tensor
    count: Tensor
    num_active: Tensor
    num_semi_hard: Tensor
    num_fallback: Tensor
    positive_distance: Tensor
    negative_distance: Tensor


def triplet_sums(
    label: Tensor, distances: Tensor, rule: TripletRule, is_negative: Tensor | None = None
) -> TripletSums:
    """Makes the triplets of a batch by a rule.

    Args:
        label: [B], equal numbers for equal identities.
        distances: float [B, B].
        rule: See `TripletRule`.
        is_negative: bool [B, B], the impostor pairs to look at; None for all.

    Returns:
        The sums of every anchor.
    """
    is_positive, is_impostor = mining.pair_masks(label)
    is_negative = is_impostor if is_negative is None else is_negative

    def sums_of(pairs: PositivePairs) -> TripletSums:
        return sums_of_pairs(distances, pairs, is_negative, rule)

    if rule.positives == "hardest":
        return sums_of(_hardest_pairs(distances, is_positive, rule))
    few, is_complete = mining.list_positives(label, _MAX_LISTED)
    return ops.cond(
        is_complete, lambda: sums_of(few), lambda: sums_of(mining.all_positives(is_positive))
    )


def _hardest_pairs(distances: Tensor, is_positive: Tensor, rule: TripletRule) -> PositivePairs:
    has_positive = ops.any(is_positive, axis=1, keepdims=True)
    column = mining.hardest_positives(ops.stop_gradient(distances), is_positive)
    if rule.anchors_without_negatives == "skip":
        return PositivePairs(column, has_positive)
    own = ops.arange(ops.shape(column)[0], dtype="int32")[:, None]
    is_any = ops.broadcast_to(ops.any(has_positive), ops.shape(has_positive))
    return PositivePairs(ops.where(has_positive, column, own), is_any)


def sums_of_pairs(
    distances: Tensor, pairs: PositivePairs, is_negative: Tensor, rule: TripletRule
) -> TripletSums:
    """Makes triplets of given anchor-positive pairs.

    Args:
        distances: float [A, N], anchor to candidate.
        pairs: Of A anchors.
        is_negative: bool [A, N], the candidates to choose negatives from.
        rule: See `TripletRule`; its `positives` are chosen already.

    Returns:
        The sums of every anchor.
    """
    d_ap = take_in_row(distances, pairs.column)
    d_an = take_in_row(distances, _negatives(distances, d_ap, pairs.is_pair, is_negative, rule))
    has_negative = ops.any(is_negative, axis=1, keepdims=True)
    is_triplet = ops.logical_and(pairs.is_pair, has_negative)
    counts = is_triplet
    if rule.anchors_without_negatives == "tfa":
        counts = pairs.is_pair
        stand_in = d_ap if rule.negatives == "hardest" else ops.zeros_like(d_ap)
        d_an = ops.where(has_negative, d_an, stand_in)
    cost = ops.where(counts, rule.cost(d_ap - d_an), 0.0)
    is_beyond = d_an > d_ap

    def total(mask: Tensor, values: Tensor | None = None) -> Tensor:
        values = ops.ones_like(cost) if values is None else ops.stop_gradient(values)
        return ops.sum(ops.where(mask, values, 0.0), axis=1)

    return TripletSums(
        cost=ops.sum(cost, axis=1),
        count=total(counts),
        num_active=total(cost > 0.0),
        num_semi_hard=total(is_triplet & is_beyond & (d_an < d_ap + rule.margin)),
        num_fallback=total(is_triplet & ops.logical_not(is_beyond)),
        positive_distance=total(counts, d_ap),
        negative_distance=total(counts, d_an),
    )


def _negatives(
    distances: Tensor, d_ap: Tensor, is_pair: Tensor, is_negative: Tensor, rule: TripletRule
) -> Tensor:
    distances, d_ap = ops.stop_gradient(distances), ops.stop_gradient(d_ap)
    if rule.negatives == "hardest":
        return ops.broadcast_to(mining.hardest_negatives(distances, is_negative), ops.shape(d_ap))
    if rule.negatives == "random":
        return mining.random_violating_negatives(distances, d_ap, is_pair, is_negative, rule.margin)
    return mining.semi_hard_negatives(distances, d_ap, is_pair, is_negative)


def triplet_statistics(sums: TripletSums, embedding: Tensor, at_rest: float) -> dict[str, Tensor]:
    """Computes scalars that tell whether a triplet loss still teaches.

    Args:
        sums: Of the global batch.
        embedding: float [B, D].
        at_rest: What the loss is where all distances are 0.

    Returns:
        `active_fraction`: of the triplets, those that cost something; `semi_hard_fraction`: whose
        negative lies beyond the positive, inside the margin; `fallback_fraction`: whose negative
        does not lie beyond it. `mean_d_ap`, `mean_d_an`: their mean distances.
        `embedding_variance`: mean squared distance from the mean, at most 1 for unit length.
        `effective_rank`: over how many directions that spreads evenly, `(sum l)^2 / sum l^2` for
        the eigenvalues l of the covariance, from 1 to D. `is_collapsed`: 1 where the loss is what
        it is without distances and the variance is gone, else 0.
    """
    count = ops.maximum(ops.sum(sums.count), 1.0)
    centered = embedding - ops.mean(embedding, axis=0)
    variance = ops.mean(ops.sum(ops.square(centered), axis=1))
    length = ops.mean(ops.sum(ops.square(embedding), axis=1))
    is_collapsed = ops.logical_and(
        ops.abs(ops.sum(sums.cost) / count - at_rest) <= _LOSS_AT_REST * at_rest,
        variance <= _VARIANCE_AT_REST * length,
    )
    found = {
        "active_fraction": sums.num_active,
        "semi_hard_fraction": sums.num_semi_hard,
        "fallback_fraction": sums.num_fallback,
        "mean_d_ap": sums.positive_distance,
        "mean_d_an": sums.negative_distance,
    }
    return {
        **{name: ops.sum(ops.stop_gradient(value)) / count for name, value in found.items()},
        "embedding_variance": variance,
        "effective_rank": _effective_rank(centered),
        "is_collapsed": ops.cast(is_collapsed, embedding.dtype),
    }


def _effective_rank(centered: Tensor) -> Tensor:
    # The traces of C and of C C give the sums of the eigenvalues and of their squares.
    scatter = ops.matmul(ops.transpose(centered), centered)
    squares = ops.sum(ops.square(scatter))
    spread = ops.sum(ops.square(centered))
    return ops.where(
        squares > 0.0, ops.square(spread) / ops.where(squares > 0.0, squares, 1.0), 1.0
    )


class TripletBase(DistanceLoss):
    """A `DistanceLoss` that adds up triplets and can be observed; a subclass sets its `rule`."""

    rule: TripletRule

    def values(self, sums: TripletSums, embedding: Tensor) -> Tensor:
        """Returns every anchor's share of the mean, float [B], and tells who observes."""
        at_rest = math.log(2.0) if self.rule.soft else self.margin
        observe(lambda: triplet_statistics(sums, ops.stop_gradient(embedding), at_rest))
        return shares(sums.cost, sums.count if self.mean_over == "all" else sums.num_active)


class MinedTripletLoss(TripletBase, MiningLoss):
    """A `TripletBase` that makes its triplets from the labels of the batch."""

    def per_sample_among(self, label: Tensor, embedding: Tensor, is_negative: Tensor) -> Tensor:
        distances = pairwise_distance(self.distance_metric)(embedding)
        return self.values(self.sums(label, distances, is_negative), embedding)

    def sums(self, label: Tensor, distances: Tensor, is_negative: Tensor) -> TripletSums:
        """Adds up the batch's triplets: label [B], distances and is_negative [B, B]."""
        return triplet_sums(label, distances, self.rule, is_negative)
