"""The detection error trade-off: both kinds of errors, on axes that make normal scores a line."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from facezoo.metrics.roc import RocCurve, roc_curve


@dataclass(frozen=True, eq=False)
class DetCurve:
    """Both error rates at each threshold, from nobody accepted to everybody.

    Args:
        threshold: float64 [T], ascending.
        far: float64 [T], share of the impostor pairs accepted, from 0 to 1.
        frr: float64 [T], share of the genuine pairs refused, from 1 to 0.
    """

    threshold: NDArray[np.float64]
    far: NDArray[np.float64]
    frr: NDArray[np.float64]

    @property
    def far_deviate(self) -> NDArray[np.float64]:
        """Where the normal distribution function is `far`, [T]; -inf for 0 and inf for 1."""
        return ndtri(self.far)

    @property
    def frr_deviate(self) -> NDArray[np.float64]:
        """Where the normal distribution function is `frr`, [T]; -inf for 0 and inf for 1."""
        return ndtri(self.frr)


def det_curve(genuine: ArrayLike, impostor: ArrayLike) -> DetCurve:
    """Error rates at every threshold that makes a difference.

    Args:
        genuine: float [G], distances of pairs of one person.
        impostor: float [I], distances of pairs of two people.

    Raises:
        ValueError: One kind is empty, is not one-dimensional, or is not finite.

    Numerics:
        A rate of 0 or 1 has no place on the axes of normal deviates. It is infinite there rather
        than moved to a place that depends on the number of pairs; a plot leaves it out.

    Example:
        >>> curve = det_curve([0.1, 0.5], [0.4, 0.7])
        >>> curve.far.tolist(), curve.frr.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [1.0, 0.5, 0.5, 0.0, 0.0])

    Source:
        A. Martin et al., "The DET curve in assessment of detection task performance", Eurospeech
        1997, page 1895 ff.
    """
    return det_of(roc_curve(genuine, impostor))


def det_of(curve: RocCurve) -> DetCurve:
    """Turns a ROC curve, such as that of a histogram, into a DET curve."""
    refused = curve.true_accepts[-1] - curve.true_accepts
    return DetCurve(curve.threshold, curve.far, refused / curve.true_accepts[-1])
