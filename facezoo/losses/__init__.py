"""The losses that look at the distances between a batch's embeddings and need no head."""

from facezoo.losses.triplet_semi_hard import TripletSemiHardLoss, triplet_semi_hard_loss

__all__ = ["TripletSemiHardLoss", "triplet_semi_hard_loss"]
