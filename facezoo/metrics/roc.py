"""The ROC curve of distances, the area under it, and the point where both errors are equal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.distances import check_distances


@dataclass(frozen=True)
class RocCurve:
    """How many pairs are accepted at each threshold, from none to all.

    A pair is accepted, taken for one person, if its distance is at most the threshold. Counts
    rather than shares, so that curves of parts can be added and compared without rounding.

    Args:
        threshold: float64 [T], ascending; just below the smallest distance, then every distinct
            distance observed.
        true_accepts: int64 [T], genuine pairs accepted, from 0 to all.
        false_accepts: int64 [T], impostor pairs accepted, from 0 to all.
    """

    threshold: NDArray[np.float64]
    true_accepts: NDArray[np.int64]
    false_accepts: NDArray[np.int64]

    @property
    def val(self) -> NDArray[np.float64]:
        """Share of the genuine pairs accepted, [T]."""
        return self.true_accepts / self.true_accepts[-1]

    @property
    def far(self) -> NDArray[np.float64]:
        """Share of the impostor pairs accepted, [T]."""
        return self.false_accepts / self.false_accepts[-1]


def roc_curve(genuine: ArrayLike, impostor: ArrayLike) -> RocCurve:
    """Counts the accepted pairs at every threshold that makes a difference.

    Args:
        genuine: float [G], distances of pairs of one person.
        impostor: float [I], distances of pairs of two people.

    Raises:
        ValueError: One kind is empty, is not one-dimensional, or is not finite.

    Source:
        VAL(d) and FAR(d) of FaceNet, arXiv 1503.03832, equations 5 to 7.
    """
    genuine, impostor = check_distances(genuine, impostor)
    observed = np.unique(np.concatenate([genuine, impostor]))
    # One float32 step down: such a threshold accepts nobody even where it is cast to float32.
    nobody = np.nextafter(np.float32(observed[0]), np.float32(-np.inf))
    threshold = np.concatenate([[np.float64(nobody)], observed])
    return RocCurve(
        threshold,
        np.searchsorted(np.sort(genuine), threshold, side="right"),
        np.searchsorted(np.sort(impostor), threshold, side="right"),
    )


def auc(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Area under the ROC curve: how often a genuine pair is closer than an impostor pair.

    Args:
        genuine: float [G], distances of pairs of one person.
        impostor: float [I], distances of pairs of two people.

    Returns:
        Share in [0, 1]; equal distances count one half; 0.5 is chance.

    Raises:
        ValueError: One kind is empty, is not one-dimensional, or is not finite.

    Example:
        >>> auc([0.1, 0.2], [0.2, 0.3])
        0.875
    """
    curve = roc_curve(genuine, impostor)
    return float(np.trapezoid(curve.val, curve.far))


def eer(genuine: ArrayLike, impostor: ArrayLike) -> tuple[float, float]:
    """Equal error rate: where as many impostors are accepted as genuine pairs are refused.

    Args:
        genuine: float [G], distances of pairs of one person.
        impostor: float [I], distances of pairs of two people.

    Returns:
        `(rate, threshold)`. The rate is where the ROC polygon crosses FAR = 1 - VAL, by exact
        linear interpolation, in [0, 1]. Between two distances no threshold does what the polygon
        says, so the threshold is the observed distance at which the errors come nearest.

    Raises:
        ValueError: One kind is empty, is not one-dimensional, or is not finite.

    Example:
        >>> eer([0.1, 0.2, 0.6], [0.4, 0.7, 0.8])
        (0.3333333333333333, 0.4)
    """
    curve = roc_curve(genuine, impostor)
    num_genuine, num_impostor = int(curve.true_accepts[-1]), int(curve.false_accepts[-1])
    # FAR - (1 - VAL), times G * I to stay with whole numbers: rises strictly from below to above 0.
    excess = (
        curve.false_accepts * num_genuine
        + curve.true_accepts * num_impostor
        - num_genuine * num_impostor
    )
    after = int(np.searchsorted(excess, 0))
    before = after - 1
    weight = excess[before] / (excess[before] - excess[after])
    rate = curve.far[before] + weight * (curve.far[after] - curve.far[before])
    nearest = after if excess[after] <= -excess[before] else before
    return float(rate), float(curve.threshold[nearest])
