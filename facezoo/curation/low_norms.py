"""Low norms: pictures in which a model finds little, by the length of their features."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.faces import Faces
from facezoo.curation.plan import DROP, KEEP, Finding, Subject

LOW_NORM: Final = "low_norm"

# Norms that differ by less than this share are those of features normalised before.
_EQUAL: Final = 1e-3


@dataclass(frozen=True)
class LowNorms:
    """Below which norm a picture is poor.

    Norms depend on the model, and on how it was trained: look at the sheet of the lowest before
    anything is dropped. A low norm is no sign of a wrong label, and not always one of a poor
    picture, so that the default only lists. Of faces in LFW (192 pixels) blurred by a Gaussian of 4
    pixels, 78 % lie below the 5th percentile of sharp ones by a MobileFaceNet, by FaceNet 9 %: its
    norms rise with a little blur. At 8 pixels both find all.

    Args:
        threshold: A norm above 0; 5.0 fits one SphereFace model on VGGFace2, and may fit no other.
            None leaves it to `percentile`.
        percentile: Share of the pictures, in [0, 100), that is taken to be poor where there is no
            threshold; 0 finds none.
        per_identity: Takes the percentile of each person's own pictures: so many of them, rounded.
        action: `"keep"` lists the pictures, `"drop"` drops them.

    Raises:
        ValueError: A value is out of range, or a threshold is asked for per identity.
    """

    threshold: float | None = None
    percentile: float = 1.0
    per_identity: bool = False
    action: str = KEEP

    def __post_init__(self) -> None:
        if self.threshold is not None and not self.threshold > 0:
            raise ValueError(f"threshold must be above 0. Received: threshold={self.threshold}.")
        if not 0 <= self.percentile < 100:
            raise ValueError(
                f"percentile must be in [0, 100). Received: percentile={self.percentile}."
            )
        if self.per_identity and self.threshold is not None:
            raise ValueError(
                "A threshold is the same for everybody: per_identity goes with a percentile. "
                f"Received: threshold={self.threshold}."
            )
        if self.action not in (KEEP, DROP):
            raise ValueError(f"action must be {KEEP!r} or {DROP!r}. Received: {self.action!r}.")


class NormOrder(NamedTuple):
    """The ends of the order of norms.

    Args:
        lowest: int64 [k], rows of the pictures with the lowest norms, lowest first.
        highest: int64 [k], rows of those with the highest, highest first.
    """

    lowest: NDArray[np.int64]
    highest: NDArray[np.int64]


def find_low_norms(faces: Faces, options: LowNorms | None = None) -> list[Finding]:
    """Finds pictures whose features were short before they were normalised.

    Args:
        faces: The pictures.
        options: Below which norm; None for the defaults.

    Returns:
        Findings in the order of the pictures: those strictly below the threshold.

    Raises:
        ValueError: All norms are equal.

    Source:
        The rule of norm-select layers: features below a threshold, there 5.0, are zeroed.
    """
    options = LowNorms() if options is None else options
    if options.threshold is None and options.percentile == 0:
        return []
    check_norms(faces.norm)
    limit = _limits(faces, options)
    rank = np.argsort(np.argsort(faces.norm, kind="stable"), kind="stable") / faces.num_images
    found = []
    for row in np.flatnonzero(faces.norm < limit):
        norm, below = float(faces.norm[row]), float(limit[row])
        evidence = {
            "norm": round(norm, 4),
            "threshold": round(below, 4),
            "percentile": round(100 * float(rank[row]), 2),
        }
        subject = Subject(faces.person(row), faces.file[row])
        score = round(1.0 - norm / below, 6)
        found.append(Finding(LOW_NORM, subject, options.action, score, evidence))
    return found


def norm_order(faces: Faces, count: int, per_identity: bool = False) -> NormOrder:
    """Returns the pictures with the lowest and the highest norms, for a person to look at.

    Args:
        faces: The pictures.
        count: How many of each, at least 1; all where there are no more.
        per_identity: Orders by the ratio to the median of the person's pictures.

    Raises:
        ValueError: `count` is below 1, or all norms are equal.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1. Received: count={count}.")
    check_norms(faces.norm)
    norm = faces.norm.astype(np.float64)
    if per_identity:
        median = _of_each_person(faces, (faces.num_images_of() - 1) // 2)
        norm = norm / np.maximum(median, np.finfo(np.float32).tiny)
    order = np.argsort(norm, kind="stable")
    return NormOrder(order[:count], order[::-1][:count])


def check_norms(norm: NDArray[np.float32]) -> None:
    """Refuses norms that say nothing.

    Raises:
        ValueError: All are equal, as those of features that are normalised already are.
    """
    low, high = float(norm.min()), float(norm.max())
    if len(norm) > 1 and high - low <= _EQUAL * high:
        raise ValueError(
            "Norms must be those of features before they are normalised. Received: "
            f"{len(norm)} norms, all {high:.6g}. Embed with a model that gives its norms, or leave "
            "norms out (percentile=0)."
        )


def _limits(faces: Faces, options: LowNorms) -> NDArray[np.float32]:
    """Returns each picture's threshold, [N]."""
    if options.threshold is not None:
        return np.full(faces.num_images, options.threshold, np.float32)
    if options.per_identity:
        return _below_share(faces, options.percentile)
    limit = np.percentile(faces.norm, options.percentile, method="lower")
    return np.full(faces.num_images, limit, np.float32)


def _below_share(faces: Faces, percentile: float) -> NDArray[np.float32]:
    """Returns the norm that this share of each person's pictures, rounded, lies below, [N]."""
    place = np.ceil(faces.num_images_of() * percentile / 100 - 0.5)
    return _of_each_person(faces, np.maximum(place, 0).astype(np.int64))


def _of_each_person(faces: Faces, place: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns the norm at a place, int [P], in the order of each picture's person, [N]."""
    order = np.lexsort((faces.norm, faces.label))
    counts = faces.num_images_of()
    first = np.cumsum(counts) - counts
    return faces.norm[order[first + place]][faces.label]
