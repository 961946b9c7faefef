"""Mining: which samples teach. Pure selection: indexes out, no gradient, no loss."""

from facezoo.mining.hardest import hardest_negatives, hardest_positives
from facezoo.mining.informative import informative_pairs
from facezoo.mining.label_sets import LabelSets
from facezoo.mining.offline import mine_triplets
from facezoo.mining.ohem import HardSamples, box_iou, select_hard
from facezoo.mining.pairs import PositivePairs, all_positives, list_positives, pair_masks
from facezoo.mining.random_violating import random_violating_negatives
from facezoo.mining.ranked import RankedNegatives, count_closer, rank_negatives
from facezoo.mining.semi_hard import semi_hard_negatives

__all__ = [
    "HardSamples",
    "LabelSets",
    "PositivePairs",
    "RankedNegatives",
    "all_positives",
    "box_iou",
    "count_closer",
    "hardest_negatives",
    "hardest_positives",
    "informative_pairs",
    "list_positives",
    "mine_triplets",
    "pair_masks",
    "random_violating_negatives",
    "rank_negatives",
    "select_hard",
    "semi_hard_negatives",
]
