"""The losses that look at the distances between a batch's embeddings and need no head."""

from facezoo.losses.batch_contrastive import BatchContrastiveLoss
from facezoo.losses.center import CenterLoss
from facezoo.losses.circle import CircleLoss, circle_loss
from facezoo.losses.contrastive import ContrastiveLoss
from facezoo.losses.cross_batch_memory import CrossBatchMemory
from facezoo.losses.given_triplets import GivenTripletsLoss
from facezoo.losses.multi_similarity import MultiSimilarityLoss, multi_similarity_loss
from facezoo.losses.reduced import ReducedLoss
from facezoo.losses.supcon import SupConLoss, supcon_loss
from facezoo.losses.triplet import TripletLoss
from facezoo.losses.triplet_all import TripletAllLoss
from facezoo.losses.triplet_hard import TripletHardLoss
from facezoo.losses.triplet_semi_hard import TripletSemiHardLoss, triplet_semi_hard_loss
from facezoo.losses.within_sets import WithinSets

__all__ = [
    "BatchContrastiveLoss",
    "CenterLoss",
    "CircleLoss",
    "ContrastiveLoss",
    "CrossBatchMemory",
    "GivenTripletsLoss",
    "MultiSimilarityLoss",
    "ReducedLoss",
    "SupConLoss",
    "TripletAllLoss",
    "TripletHardLoss",
    "TripletLoss",
    "TripletSemiHardLoss",
    "WithinSets",
    "circle_loss",
    "multi_similarity_loss",
    "supcon_loss",
    "triplet_semi_hard_loss",
]
