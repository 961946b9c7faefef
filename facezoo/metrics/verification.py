"""Verification, are two faces one person: VAL, FAR, accuracy and the choice of a threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from facezoo.metrics.distances import check_distances
from facezoo.metrics.roc import RocCurve, roc_curve
from facezoo.metrics.targets import check_target, most_within


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold does.

    Args:
        threshold: A pair is accepted if its distance is at most this.
        val: Share of the genuine pairs accepted, in [0, 1].
        far: Share of the impostor pairs accepted, in [0, 1].
    """

    threshold: float
    val: float
    far: float


def operating_point(genuine: ArrayLike, impostor: ArrayLike, threshold: float) -> OperatingPoint:
    """VAL and FAR at a threshold.

    Args:
        genuine: float [G], distances of pairs of one person.
        impostor: float [I], distances of pairs of two people.
        threshold: Distance up to which a pair is accepted.

    Raises:
        ValueError: One kind is empty, is not one-dimensional, or is not finite.

    Example:
        >>> operating_point([0.1, 0.2, 0.6, 0.9], [0.4, 0.7], threshold=0.6)
        OperatingPoint(threshold=0.6, val=0.75, far=0.5)

    Source:
        FaceNet, arXiv 1503.03832, equations 5 to 7.
    """
    genuine, impostor = check_distances(genuine, impostor)
    val, far = np.mean(genuine <= threshold), np.mean(impostor <= threshold)
    return OperatingPoint(float(threshold), float(val), float(far))


def val_at_far(
    genuine: ArrayLike, impostor: ArrayLike, target: float, allow_few: bool = False
) -> OperatingPoint:
    """The most generous threshold whose FAR does not exceed the target.

    Args:
        genuine: float [G], distances of pairs of one person.
        impostor: float [I], distances of pairs of two people, at least `10 / target`.
        target: Highest FAR allowed, in [0, 1].
        allow_few: Takes fewer impostor pairs too. The result then says little: at most nine false
            accepts stand behind it, and a FAR of 0 has none at all.

    Returns:
        The largest observed distance at which no more than `floor(target * I)` impostor pairs are
        accepted, with its VAL and FAR; below the smallest distance, VAL 0, if there is none.

    Raises:
        ValueError: `target` is out of range, the impostor pairs are too few for it, or one kind is
            empty or not finite.

    Example:
        >>> val_at_far([0.1, 0.2, 0.6, 0.9], [0.4, 0.7, 0.8], target=0.5, allow_few=True)
        OperatingPoint(threshold=0.6, val=0.75, far=0.3333333333333333)

    Source:
        FaceNet, arXiv 1503.03832, section 4, equations 5 to 7.
    """
    return point_at_far(roc_curve(genuine, impostor), target, allow_few)


def point_at_far(curve: RocCurve, target: float, allow_few: bool) -> OperatingPoint:
    """What `val_at_far` returns, of a curve."""
    num_impostor = int(curve.false_accepts[-1])
    check_target(target, num_impostor, allow_few)
    allowed = most_within(target, num_impostor)
    best = int(np.searchsorted(curve.false_accepts, allowed, side="right")) - 1
    return OperatingPoint(*(float(x[best]) for x in (curve.threshold, curve.val, curve.far)))


def accuracy(genuine: ArrayLike, impostor: ArrayLike, threshold: float) -> float:
    """Share of right answers at a threshold when both kinds of pairs weigh the same.

    `(VAL + 1 - FAR) / 2`. With as many genuine as impostor pairs, as in LFW's folds, this is the
    plain share of right answers. Where impostors are many, as among all pairs of a set, the plain
    share would reward a model that refuses everybody.

    Args:
        genuine: float [G], distances of pairs of one person.
        impostor: float [I], distances of pairs of two people.
        threshold: Distance up to which a pair is accepted; chosen on other people.

    Returns:
        Share in [0, 1]; 0.5 is chance.

    Raises:
        ValueError: One kind is empty, is not one-dimensional, or is not finite.

    Example:
        >>> accuracy([0.1, 0.2, 0.6, 0.9], [0.4, 0.7], threshold=0.6)
        0.625
    """
    point = operating_point(genuine, impostor, threshold)
    return (point.val + 1.0 - point.far) / 2.0


def best_threshold(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """The threshold of highest `accuracy` on these pairs, as far from any other as can be.

    Accuracy is a step function: every threshold on its highest step is as good as the next on
    these pairs, and the middle of the step is the safest on others. Of several highest steps, the
    widest counts, and of equally wide ones that of lower FAR.

    Args:
        genuine: float [G], distances of pairs of one person.
        impostor: float [I], distances of pairs of two people.

    Raises:
        ValueError: One kind is empty, is not one-dimensional, or is not finite.

    Example:
        >>> best_threshold([0.0, 0.25], [0.75, 1.0])
        0.5
    """
    curve = roc_curve(genuine, impostor)
    # Twice the accuracy, less 1, times G * I: whole numbers, so that equal steps are equal. The
    # first entry, everybody refused, is no better than the last and has no lower end.
    gain = (
        curve.true_accepts * curve.false_accepts[-1] - curve.false_accepts * curve.true_accepts[-1]
    )[1:]
    starts = np.flatnonzero(np.append(True, np.diff(gain) != 0))
    start = curve.threshold[1:][starts]
    width = np.append(np.diff(start), 0.0)
    widest = np.argmax(np.where(gain[starts] == gain.max(), width, -1.0))
    return float(start[widest] + width[widest] / 2.0)
