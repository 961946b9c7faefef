"""Wrong labels: pictures that show somebody else than they are said to, by the vote of rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.faces import Faces
from facezoo.curation.label_rules import (
    Vote,
    far_from_center,
    far_from_dominant_center,
    strange_neighbors,
)
from facezoo.curation.leave_one_out import Fit, leave_one_out
from facezoo.curation.out_of_fold import out_of_fold
from facezoo.curation.plan import DROP, KEEP, Finding, Subject

WRONG_LABEL: Final = "wrong_label"
SUB_CENTER, CENTER, NEIGHBORS, FOLDS = "sub_center", "center", "neighbors", "out_of_fold"

# So many of a person's pictures must be beyond doubt before another is dropped.
_WITNESSES: Final = 2
# Who is nearer to somebody else than so many per cent of the right pictures are, and as near as all
# but so many are to their own person, shows that person.
_NEAR_OTHERS, _FAR_FROM_SELF = 95.0, 5.0


@dataclass(frozen=True)
class WrongLabels:
    """Which rules vote, and how many must agree.

    For FaceNet on the people of LFW with ten pictures or more, and 10 % of the labels wrong, two
    votes of three have precision .99 and recall .98; three of three .99 and .91.

    Args:
        max_angle: Degrees from the dominant sub-centre, in (0, 180); None leaves the rule out.
        num_centers: Sub-centres of a person, at least 1.
        min_images: People with fewer pictures have one centre; at least 2.
        percentile: Of the cosines of pictures with strangers, in (0, 100): who lies below fits no
            better than a stranger; None leaves the rule out.
        num_neighbors: Nearest pictures that are looked at, at least 1; None leaves the rule out.
        max_agreement: Share of the person's own among these, in [0, 1), at which there is a vote.
        num_folds: Folds for out-of-fold models, at least 2; 0 leaves the rule out.
        min_votes: How many rules must agree, from 1 to those there are.

    Raises:
        ValueError: A value is out of range.
    """

    max_angle: float | None = 75.0
    num_centers: int = 3
    min_images: int = 10
    percentile: float | None = 98.0
    num_neighbors: int | None = 10
    max_agreement: float = 0.0
    num_folds: int = 0
    min_votes: int = 2

    def __post_init__(self) -> None:
        _check(self.max_angle is None or 0 < self.max_angle < 180, "max_angle", "in (0, 180)", self)
        _check(self.num_centers >= 1, "num_centers", "at least 1", self)
        _check(self.min_images >= 2, "min_images", "at least 2", self)
        _check(
            self.percentile is None or 0 < self.percentile < 100, "percentile", "in (0, 100)", self
        )
        _check(
            self.num_neighbors is None or self.num_neighbors >= 1,
            "num_neighbors",
            "at least 1",
            self,
        )
        _check(0 <= self.max_agreement < 1, "max_agreement", "in [0, 1)", self)
        _check(self.num_folds == 0 or self.num_folds >= 2, "num_folds", "0 or at least 2", self)
        expected = f"from 1 to {self.num_rules}, the rules that vote"
        _check(1 <= self.min_votes <= self.num_rules, "min_votes", expected, self)

    @property
    def num_rules(self) -> int:
        """How many rules vote."""
        rules = (self.max_angle, self.percentile, self.num_neighbors, self.num_folds or None)
        return sum(rule is not None for rule in rules)


def find_wrong_labels(
    faces: Faces,
    options: WrongLabels | None = None,
    centers: NDArray[np.float32] | None = None,
) -> list[Finding]:
    """Finds pictures that show somebody else than they are said to.

    A picture is to be dropped if enough rules agree, and two pictures of its person or more are
    beyond doubt: of two pictures that do not fit each other nobody knows which one is wrong. Where
    fewer are, the pictures are kept, to be looked at. Of a person with one picture nothing is said.

    Args:
        faces: The pictures; people under several names should be one by now.
        options: Which rules vote; None for the defaults.
        centers: float32 [P, K, D], of a head with sub-centres, which `check_head` accepts.

    Returns:
        Findings in the order of the pictures. `looks_like` in the evidence names the person it
        shows, if one of these.
    """
    options = WrongLabels() if options is None else options
    fit = leave_one_out(faces.embedding, faces.label, faces.num_people)
    votes = cast_votes(faces, options, centers, fit)
    num_votes = np.sum([vote.is_wrong for vote in votes.values()], axis=0)
    # A head may judge a single picture, but what it learnt of the person is that picture.
    is_doubtful = (num_votes >= options.min_votes) & np.isfinite(fit.own)
    counts = faces.num_images_of()
    num_left = counts - np.bincount(faces.label[is_doubtful], minlength=faces.num_people)
    at_home = _at_home(fit, np.isfinite(fit.own) & ~is_doubtful)
    found = []
    for row in np.flatnonzero(is_doubtful):
        person = faces.label[row]
        evidence = _evidence(faces, fit, votes, row, at_home)
        action = DROP if num_left[person] >= _WITNESSES else KEEP
        nearer = np.nan_to_num(np.clip(fit.other[row] - fit.own[row], 0.0, 1.0))
        score = float((num_votes[row] - 1 + nearer) / options.num_rules)
        subject = Subject(faces.person(row), faces.file[row])
        found.append(Finding(WRONG_LABEL, subject, action, round(score, 6), evidence))
    return found


def cast_votes(
    faces: Faces,
    options: WrongLabels,
    centers: NDArray[np.float32] | None = None,
    fit: Fit | None = None,
) -> dict[str, Vote]:
    """Lets every rule that is not left out vote; by its name."""
    votes: dict[str, Vote] = {}
    if options.max_angle is not None:
        votes[SUB_CENTER] = far_from_dominant_center(
            faces, options.max_angle, options.num_centers, options.min_images, centers
        )
    if options.percentile is not None:
        votes[CENTER] = far_from_center(faces, options.percentile, fit)
    if options.num_neighbors is not None:
        votes[NEIGHBORS] = strange_neighbors(faces, options.num_neighbors, options.max_agreement)
    if options.num_folds:
        votes[FOLDS] = out_of_fold(faces, options.num_folds)
    return votes


def _at_home(fit: Fit, is_right: NDArray[np.bool_]) -> float:
    """Returns from which cosine on a picture shows the person it is compared with."""
    if not is_right.any():
        return float("inf")
    near_others = np.percentile(fit.other[is_right], _NEAR_OTHERS)
    return float(max(near_others, np.percentile(fit.own[is_right], _FAR_FROM_SELF)))


def _evidence(
    faces: Faces, fit: Fit, votes: Mapping[str, Vote], row: int, at_home: float
) -> dict[str, Any]:
    other = fit.nearest[row]
    nearest_other = str(faces.people[other]) if other >= 0 else None
    return {
        "votes": [name for name, vote in votes.items() if vote.is_wrong[row]],
        "values": {name: _rounded(vote.value[row]) for name, vote in votes.items()},
        "limits": {name: _rounded(vote.limit) for name, vote in votes.items()},
        "own_cosine": _rounded(fit.own[row]),
        "nearest_other": nearest_other,
        "nearest_other_cosine": _rounded(fit.other[row]),
        "looks_like": nearest_other if fit.other[row] >= at_home else None,
        "num_images": int(faces.num_images_of()[faces.label[row]]),
    }


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _check(holds: bool, name: str, expected: str, options: WrongLabels) -> None:
    if not holds:
        raise ValueError(f"{name} must be {expected}. Received: {name}={getattr(options, name)!r}.")
