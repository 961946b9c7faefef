"""What a plan leaves: who stays, who was merged into whom, and the label of every picture."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.faces import Faces, Person
from facezoo.curation.plan import DROP, MERGE, Decision, Subject
from facezoo.curation.review import REVIEW

DROPPED: Final = -1


@dataclass(frozen=True, eq=False)
class Cleaned:
    """People and labels after a plan.

    Args:
        people: P' who stay, in the order in which they were.
        members: Who each of them is made of, themselves first.
        label: int32 [N], the row in `people` of every picture; -1 for those that are dropped.
        reason: Why a picture was dropped, by its row.
    """

    people: tuple[Person, ...]
    members: tuple[tuple[Person, ...], ...]
    label: NDArray[np.int32]
    reason: dict[int, str]

    @property
    def num_images(self) -> int:
        """How many pictures stay."""
        return int(np.count_nonzero(self.label != DROPPED))


def who_is_who(faces: Faces, decisions: Iterable[Decision]) -> NDArray[np.int64]:
    """Follows the merges of a plan to their ends.

    Args:
        faces: All of them.
        decisions: Of which the merges count. What a person decided goes first: a merge of the
            rules that would join two whom a person told apart is left out.

    Returns:
        int64 [P], for each of `faces.people` the row of the person they are merged into.

    Raises:
        ValueError: A decision is about somebody unknown, or what a person decided contradicts
            itself.
    """
    row = {person: place for place, person in enumerate(faces.people)}
    merges, apart = [], []
    for one in decisions:
        couple = [_row_of(row, who, one.subject) for who in _couple(one.subject)]
        if one.action == MERGE:
            merges.append((REVIEW not in one.evidence, couple, one.subject))
        elif couple and REVIEW in one.evidence:
            apart.append(couple)
    group = np.arange(faces.num_people)
    for is_proposed, (loser, winner), subject in sorted(merges, key=lambda one: one[0]):
        joined = np.where(group == group[loser], group[winner], group)
        if all(joined[first] != joined[second] for first, second in apart):
            group = joined
        elif not is_proposed:
            raise ValueError(
                f"The review contradicts itself: merging {subject} joins two people whom another "
                "line keeps apart. Change one of them."
            )
    return group


def clean(faces: Faces, decisions: Sequence[Decision]) -> Cleaned:
    """Carries out a plan.

    Args:
        faces: All of them.
        decisions: About these; at most one for each subject.

    Raises:
        ValueError: A decision is about somebody or something unknown, or nobody is left.
    """
    group = who_is_who(faces, decisions)
    reason = _dropped(faces, decisions)
    label = group[faces.label]
    label[list(reason)] = DROPPED
    kept = np.unique(label[label != DROPPED])
    if not kept.size:
        raise ValueError("The plan drops every picture. Curate with less strict rules.")
    number = np.full(faces.num_people, DROPPED)
    number[kept] = np.arange(kept.size)
    # A person all of whose own pictures were dropped is no part of anybody any more.
    present = np.zeros(faces.num_people, bool)
    present[faces.label[label != DROPPED]] = True
    members = [
        (faces.people[one],)
        + tuple(
            faces.people[each] for each in np.flatnonzero((group == one) & present) if each != one
        )
        for one in kept
    ]
    return Cleaned(
        tuple(faces.people[one] for one in kept),
        tuple(members),
        np.where(label == DROPPED, DROPPED, number[label]).astype(np.int32),
        reason,
    )


def class_map(cleaned: Cleaned) -> dict[str, Any]:
    """Describes the classes after a plan, plain JSON; the version changes whenever they do."""
    classes = [
        {
            "label": label,
            "dataset": person.dataset,
            "identity": person.identity,
            "members": [list(one) for one in members],
        }
        for label, (person, members) in enumerate(zip(cleaned.people, cleaned.members, strict=True))
    ]
    text = json.dumps(classes, sort_keys=True, ensure_ascii=False)
    return {"version": hashlib.sha256(text.encode()).hexdigest()[:16], "classes": classes}


def _dropped(faces: Faces, decisions: Iterable[Decision]) -> dict[int, str]:
    place = faces.rows_of_pictures()
    rows_of: dict[Person, list[int]] = {person: [] for person in faces.people}
    for (person, _), row in place.items():
        rows_of[person].append(row)
    reason: dict[int, str] = {}
    for one in decisions:
        person, file, _ = one.subject
        known = person in rows_of if file is None else (person, file) in place
        if not known:
            raise ValueError(f"There is no {one.subject} among these faces: is it their plan?")
        if one.action == DROP:
            rows = rows_of[person] if file is None else [place[person, file]]
            reason |= dict.fromkeys(rows, " ".join(one.evidence))
    return reason


def _couple(subject: Subject) -> tuple[Person, ...]:
    return () if subject.other is None else (subject.person, subject.other)


def _row_of(row: dict[Person, int], person: Person, subject: Subject) -> int:
    if person not in row:
        raise ValueError(f"There is no {person} among these faces ({subject}): is it their plan?")
    return row[person]
