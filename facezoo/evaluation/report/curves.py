"""ROC and DET as few enough points for a page: the corners that can be seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from facezoo import metrics
from facezoo.evaluation.scored_pairs import ScoredPairs

_STEPS = 400

Places = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Curve:
    """Points of a ROC curve, from nobody accepted to all.

    Args:
        far: float64 [T].
        val: float64 [T].
        threshold: float64 [T].
        lowest_far: Half an impostor pair, where a FAR of 0 is drawn on axes that have no 0.
        lowest_frr: Half a genuine pair, likewise.
    """

    far: NDArray[np.float64]
    val: NDArray[np.float64]
    threshold: NDArray[np.float64]
    lowest_far: float
    lowest_frr: float

    def on_roc(self, far: ArrayLike, val: ArrayLike) -> Places:
        """Where rates stand on a ROC plot of logarithmic FAR: `(x, y)`."""
        return np.maximum(far, self.lowest_far), np.asarray(val)

    def on_det(self, far: ArrayLike, val: ArrayLike) -> Places:
        """Where rates stand on a DET plot: `(x, y)`, normal deviates of FAR and FRR.

        Numerics:
            Rates of 0 and 1, which have no deviate, are moved by half a pair.
        """
        frr = 1.0 - np.asarray(val)
        return (
            ndtri(np.clip(far, self.lowest_far, 1.0 - self.lowest_far)),
            ndtri(np.clip(frr, self.lowest_frr, 1.0 - self.lowest_frr)),
        )


def thinned_curve(scored: ScoredPairs) -> Curve:
    """Takes so many points of the ROC curve of pairs as a screen can show: see `thin`."""
    return thin(metrics.roc_curve(scored.genuine, scored.impostor))


def thin(curve: metrics.RocCurve) -> Curve:
    """Takes so many points of a ROC curve as a screen can show, for any number of pairs.

    Each is a threshold of the curve: the highest VAL of all with a FAR within one of 800 bounds,
    half of them even on a logarithmic axis and half on that of normal deviates.
    """
    far, val = curve.far, curve.val
    lowest_far, lowest_frr = 0.5 / curve.false_accepts[-1], 0.5 / curve.true_accepts[-1]
    edge = ndtri(lowest_far)
    even_in_log = np.geomspace(lowest_far, 1.0, _STEPS)
    even_in_deviates = ndtr(np.linspace(edge, -edge, _STEPS))
    bounds = np.concatenate([even_in_log, even_in_deviates, [1.0]])
    kept = np.unique(np.searchsorted(far, bounds, side="right") - 1)
    return Curve(far[kept], val[kept], curve.threshold[kept], float(lowest_far), float(lowest_frr))
