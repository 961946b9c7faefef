"""The measure lane: distances of genuine and impostor pairs in, numbers out; plain NumPy."""

from facezoo.metrics.interval import wilson_interval
from facezoo.metrics.roc import RocCurve, auc, eer, roc_curve
from facezoo.metrics.verification import (
    OperatingPoint,
    accuracy,
    best_threshold,
    operating_point,
    val_at_far,
)

__all__ = [
    "OperatingPoint",
    "RocCurve",
    "accuracy",
    "auc",
    "best_threshold",
    "eer",
    "operating_point",
    "roc_curve",
    "val_at_far",
    "wilson_interval",
]
