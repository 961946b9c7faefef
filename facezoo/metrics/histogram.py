"""Distances of any number of pairs in a fixed number of bins: merges exactly, in any order."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.metrics.roc import RocCurve
from facezoo.metrics.verification import OperatingPoint, point_at_far

# Squared L2 distance of opposite unit vectors.
LARGEST_DISTANCE: Final = 4.0
NUM_BINS: Final = 2**14


@dataclass(frozen=True, eq=False)
class DistanceHistogram:
    """How many genuine and impostor pairs lie at which squared L2 distance, of [0, 4].

    Bin b holds the distances above `edge[b]` up to `edge[b + 1]`, the first also 0. So a threshold
    on an edge accepts whole bins, and the counts there are exact.

    Args:
        genuine: int64 [B], pairs of one person.
        impostor: int64 [B], pairs of two people.

    Raises:
        ValueError: The two do not have the same number of bins, or a count is negative.

    Example:
        >>> one = DistanceHistogram(np.array([3, 1, 0, 0]), np.array([0, 1, 8, 1]))
        >>> (one + one).val_at_far(0.1, allow_few=True)
        OperatingPoint(threshold=2.0, val=1.0, far=0.1)
    """

    genuine: NDArray[np.int64]
    impostor: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.genuine.shape != self.impostor.shape or self.genuine.ndim != 1:
            raise ValueError(
                "Both kinds of pairs must be counted in the same bins. Received: shapes "
                f"{self.genuine.shape} and {self.impostor.shape}."
            )
        if min(self.genuine.min(initial=0), self.impostor.min(initial=0)) < 0:
            raise ValueError("A count of pairs is negative.")

    @classmethod
    def empty(cls, num_bins: int = NUM_BINS) -> "DistanceHistogram":
        """Returns a histogram of no pair."""
        return cls(np.zeros(num_bins, np.int64), np.zeros(num_bins, np.int64))

    def __add__(self, other: "DistanceHistogram") -> "DistanceHistogram":
        return DistanceHistogram(self.genuine + other.genuine, self.impostor + other.impostor)

    @property
    def edge(self) -> NDArray[np.float64]:
        """Where bins meet, [B + 1], from 0 to 4."""
        return np.linspace(0.0, LARGEST_DISTANCE, len(self.genuine) + 1)

    def roc_curve(self) -> RocCurve:
        """The ROC curve at the edges of the bins.

        Raises:
            ValueError: There is no genuine or no impostor pair.
        """
        for kind, counts in (("genuine", self.genuine), ("impostor", self.impostor)):
            if not counts.any():
                raise ValueError(
                    f"There is no {kind} pair: verification needs pairs of one person and pairs "
                    "of two people. Add people, or images per person."
                )
        threshold = self.edge
        # The first bin holds distances of 0 too, so the first edge accepts some of it.
        threshold[0] = np.nextafter(np.float32(0), np.float32(-1))
        return RocCurve(
            threshold,
            np.concatenate([[0], np.cumsum(self.genuine)]),
            np.concatenate([[0], np.cumsum(self.impostor)]),
        )

    def val_at_far(self, target: float, allow_few: bool = False) -> OperatingPoint:
        """The largest edge whose FAR does not exceed the target, as `metrics.val_at_far`.

        Raises:
            ValueError: `target` is out of range, or the pairs are too few for it.

        Numerics:
            VAL and FAR are exact at that edge. The very best threshold may lie up to a bin
            further, so VAL is never above what `metrics.val_at_far` finds.
        """
        return point_at_far(self.roc_curve(), target, allow_few)

    def auc(self) -> tuple[float, float]:
        """Area under the ROC curve, and how far it can be from that of the distances themselves.

        Returns:
            `(auc, error)`: pairs that share a bin count one half; were each of them in the right
            or in the wrong order, the area would change by `error`.

        Raises:
            ValueError: There is no genuine or no impostor pair.
        """
        curve = self.roc_curve()
        # As floats: the product of two counts of 10^10 pairs does not fit into 64 bits.
        share = self.genuine / curve.true_accepts[-1], self.impostor / curve.false_accepts[-1]
        return float(np.trapezoid(curve.val, curve.far)), float(share[0] @ share[1] / 2.0)
