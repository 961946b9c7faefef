"""Mining: which samples teach. Pure selection: indexes out, no gradient, no loss."""

from facezoo.mining.semi_hard import semi_hard_negatives

__all__ = ["semi_hard_negatives"]
