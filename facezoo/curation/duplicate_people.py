"""Duplicate people: one person under several names, within a data set and across data sets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.duplicate_evidence import Couples, DuplicateEvidence
from facezoo.curation.faces import Faces, Person
from facezoo.curation.groups import group_people
from facezoo.curation.plan import ACTIONS, KEEP, MERGE, Finding, Subject

DUPLICATE_PERSON: Final = "duplicate_person"

Separate = frozenset[frozenset[Person]]


@dataclass(frozen=True)
class DuplicatePeople:
    """When two people are taken for one; `find_duplicate_people` says how that was chosen.

    Args:
        threshold: The least cosine of the two centres, in [-1, 1]; below it a couple is not looked
            at. Squared L2 distance is 2 - 2 cosine.
        num_neighbors: How many of the nearest people of everybody are looked at, 1 or more.
        agreement: The least agreement of a sure couple, above 0; 1 is as alike as one person.
        nearness: The most nearness of a sure couple, in [0, 1]; 1 is as near as strangers. None
            lets threshold and agreement decide alone.
        doubtful_nearness: The most nearness of a couple that is worth a look, not below `nearness`;
            without that all couples are.
        duplicates: What is proposed for a sure couple: `"merge"`, `"drop"` (the one with fewer
            pictures) or `"keep"`.

    Raises:
        ValueError: A number is out of its range, or the action is unknown.
    """

    threshold: float = 0.5
    num_neighbors: int = 10
    agreement: float = 0.85
    nearness: float | None = 0.5
    doubtful_nearness: float = 0.7
    duplicates: str = MERGE

    def __post_init__(self) -> None:
        nearness = 0.0 if self.nearness is None else self.nearness
        for name, is_right, expected in (
            ("threshold", -1.0 <= self.threshold <= 1.0, "a cosine in [-1, 1]"),
            ("num_neighbors", self.num_neighbors >= 1, "at least 1"),
            ("agreement", self.agreement > 0.0, "above 0"),
            ("nearness", 0.0 <= nearness <= 1.0, "in [0, 1], or None"),
            ("doubtful_nearness", self.doubtful_nearness >= nearness, "nearness or more"),
            ("duplicates", self.duplicates in ACTIONS, f"one of {', '.join(ACTIONS)}"),
        ):
            if not is_right:
                raise ValueError(f"{name} must be {expected}. Received: {getattr(self, name)!r}.")


def find_duplicate_people(
    faces: Faces,
    options: DuplicatePeople | None = None,
    centers: NDArray[np.float32] | None = None,
    separate: Separate = frozenset(),
) -> list[Finding]:
    """Finds people who seem to be one, by their centres, and looks at their pictures for evidence.

    Couples are people of whom one is among the nearest of the other, with a cosine of their centres
    of `threshold` or more. No such number tells who is who: of the class means of LFW's 5,749
    people by FaceNet, 17,000 couples are above 0.5. So a couple is *sure* only if it is near, and
    if the evidence agrees:

    * Nearness: how far the two are apart, as a share of how far they are from strangers
      (`PersonNeighbors.nearness`). It leaves out whom the model crowds together, such as children.
    * Agreement: the mean cosine between their pictures, as a share of that inside each of them
      (`Likeness.agreement`). It leaves out strangers who look alike.

    Sure couples are joined to groups, the surest first, if everybody in a group is a sure couple
    with everybody else in it: no chain of weak links joins strangers. All of a group are merged
    into the one with the most pictures (the first of equal ones).

    Of the 158 people of LFW with ten pictures or more, 40 were split in two, five times: FaceNet
    finds all of them, two weaker models 38 to 40 and 30 to 36, and none finds anybody else. With
    300 of all people of LFW split, FaceNet finds all halves of three pictures or more, 94 % of
    those of two, and 52 % of single pictures. Who has seven names or more is not found: all the
    nearest strangers are the same person.

    Args:
        faces: Pictures of the people, embedded by one model. One that was trained on these very
            labels has learned to tell duplicates apart; another is a better witness.
        options: None for the defaults.
        centers: float32 [P, K, D], of the model's head (`head_centers`), row p of
            `faces.people[p]`; of K > 1 the dominant ones count. None for the means of embeddings,
            which are the better choice where the labels are suspected: a CosFace head trained on
            the 40 above put their centres apart (cosines of -0.4 to 0.6), so that the defaults
            found none of the halves.
        separate: Couples whom a person found to be two people: they are not reported, and never
            end up in one group.

    Returns:
        The surest first: what is proposed for everybody in a group but the one who stays; then
        couples to keep: those that are only near, and links that a group refused (`refused`). The
        score is `1 - nearness`. The evidence, null where it is not known: `cosine` of the centres,
        mean cosine `inside` the person, `inside_other`, `between`, `agreement`, `nearness`,
        `images`, `images_other`, and the two pictures most alike: `picture`, `picture_other`,
        `picture_cosine`.

    Raises:
        ValueError: Somebody in `separate` is not among the people.
    """
    options = DuplicatePeople() if options is None else options
    evidence = DuplicateEvidence(faces, options.num_neighbors, centers)
    apart = _rows_of(faces, separate)
    couples = _without(_candidates(evidence, options), apart)
    is_sure = _is_sure(evidence, options, couples)
    group = _group(evidence, options, couples[is_sure], apart)
    is_open = group[couples[:, 0]] != group[couples[:, 1]]
    proposed = _into_largest(group, faces.num_images_of())
    refused, doubtful = couples[is_open & is_sure], couples[is_open & ~is_sure]
    kept = [
        *_findings(evidence, refused, KEEP, refused="chain"),
        *_findings(evidence, doubtful, KEEP),
    ]
    found = _findings(evidence, proposed, options.duplicates)
    return [*sorted(found, key=_surest), *sorted(kept, key=_surest)]


def _candidates(evidence: DuplicateEvidence, options: DuplicatePeople) -> Couples:
    """Returns those who may be one or are worth a look, int64 [M, 2], ascending."""
    couples = evidence.neighbors.couples(options.num_neighbors, options.threshold)
    if options.nearness is None:
        return couples
    # Where nobody else is there to compare with, nearness is not known: worth a look.
    return couples[~(evidence.neighbors.nearness(couples) > options.doubtful_nearness)]


def _is_sure(
    evidence: DuplicateEvidence, options: DuplicatePeople, couples: Couples
) -> NDArray[np.bool_]:
    agrees = evidence.likeness.agreement(couples) >= options.agreement
    if options.nearness is None:
        return agrees
    return agrees & (evidence.neighbors.nearness(couples) <= options.nearness)


def _group(
    evidence: DuplicateEvidence, options: DuplicatePeople, sure: Couples, apart: Couples
) -> NDArray[np.int64]:
    def are_one(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
        couples = np.stack(np.meshgrid(one, other), axis=-1).reshape(-1, 2)
        is_near = evidence.neighbors.cosine_of(couples) >= options.threshold
        return bool(np.all(is_near & _is_sure(evidence, options, couples)))

    num_people = evidence.faces.num_people
    return group_people(num_people, sure, evidence.score(sure), are_one, apart)


def _into_largest(group: NDArray[np.int64], num_images: NDArray[np.int64]) -> Couples:
    """Couples everybody who is not alone in a group with the one who has the most pictures."""
    # Of each group the largest comes first, and of equal ones the first.
    order = np.lexsort((np.arange(len(group)), -num_images, group))
    _, begin = np.unique(group[order], return_index=True)
    stays = order[begin][group]
    leaves = np.flatnonzero(stays != np.arange(len(group)))
    return np.stack([leaves, stays[leaves]], axis=1)


def _findings(
    evidence: DuplicateEvidence, couples: Couples, action: str, **reason: str
) -> Iterator[Finding]:
    """Yields one for each couple; who has more pictures stays, of equal ones the first."""
    people, num_images = evidence.faces.people, evidence.likeness.num_images
    order = np.lexsort((-couples, num_images[couples]), axis=1)
    couples = np.take_along_axis(couples, order, axis=1)
    rows = zip(couples, evidence.score(couples), evidence.table(couples), strict=True)
    for (one, other), score, found in rows:
        subject = Subject(people[one], other=people[other])
        yield Finding(DUPLICATE_PERSON, subject, action, float(score), {**found, **reason})


def _surest(finding: Finding) -> float:
    return -finding.score


def _rows_of(faces: Faces, separate: Separate) -> Couples:
    row = {person: place for place, person in enumerate(faces.people)}
    couples = []
    for couple in separate:
        if len(couple) != 2 or not couple <= row.keys():
            raise ValueError(
                "separate must be couples of two of the people. Received: "
                f"{' and '.join(sorted(map(str, couple)))}. Are they of these data sets?"
            )
        couples.append(sorted(row[person] for person in couple))
    return np.array(sorted(couples), np.int64).reshape(-1, 2)


def _without(couples: Couples, apart: Couples) -> Couples:
    told = set(map(tuple, apart.tolist()))
    is_told = [couple in told for couple in map(tuple, couples.tolist())]
    return couples[~np.array(is_told, bool)]
