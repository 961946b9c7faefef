"""All rules together: people first, then the pictures of the people as they now are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.centers import check_head
from facezoo.curation.cleaned import DROPPED, Cleaned, clean, who_is_who
from facezoo.curation.duplicate_people import DuplicatePeople, find_duplicate_people
from facezoo.curation.duplicate_pictures import DuplicatePictures, find_duplicate_pictures
from facezoo.curation.faces import Faces, Person
from facezoo.curation.hard_examples import HardExamples, HardSet, select_hard_examples
from facezoo.curation.low_norms import LowNorms, find_low_norms
from facezoo.curation.plan import DROP, KEEP, MERGE, Decision, Finding, Subject, decide
from facezoo.curation.review import REVIEW, overrule
from facezoo.curation.wrong_labels import WrongLabels, find_wrong_labels

DUPLICATE_CENTER: Final = "duplicate_center"
FEW_IMAGES: Final = "few_images"
_APART: Final = "held_apart"


@dataclass(frozen=True)
class Rules:
    """What is looked for.

    Args:
        people: People under several names.
        labels: Pictures of somebody else.
        norms: Pictures with little in them.
        pictures: Equal and nearly equal pictures.
        hard: Which examples are exported as hard.
        min_images: People with fewer pictures, after all else, are dropped; 1 keeps everybody.

    Raises:
        ValueError: `min_images` is below 1.
    """

    people: DuplicatePeople = field(default_factory=DuplicatePeople)
    labels: WrongLabels = field(default_factory=WrongLabels)
    norms: LowNorms = field(default_factory=LowNorms)
    pictures: DuplicatePictures = field(default_factory=DuplicatePictures)
    hard: HardExamples = field(default_factory=HardExamples)
    min_images: int = 1

    def __post_init__(self) -> None:
        if self.min_images < 1:
            raise ValueError(f"min_images must be at least 1. Received: {self.min_images}.")


@dataclass(frozen=True, eq=False)
class Curation:
    """What was found and what it leaves.

    Args:
        decisions: The plan, what a person decided in it.
        cleaned: What is left after it.
        hard: The hardest of what is left; rows are those of the faces that were curated.
    """

    decisions: tuple[Decision, ...]
    cleaned: Cleaned
    hard: HardSet


def curate(
    faces: Faces,
    rules: Rules | None = None,
    centers: NDArray[np.float32] | None = None,
    published: Sequence[Finding] = (),
    reviewed: Sequence[Decision] = (),
) -> Curation:
    """Looks for what would spoil a model, and plans what to do.

    Duplicate people come first: a picture is no wrong label because the same person is there under
    another name. What is left is judged by the pictures of the people as they are then.

    Args:
        faces: All pictures.
        rules: What to look for; None for the defaults.
        centers: float32 [P, K, D], class centres of the head of the model that made the
            embeddings, rows as `faces.people`; None leaves means of embeddings alone.
        published: Couples from a published list; as good as found.
        reviewed: What a person decided: it wins over every rule.

    Raises:
        ValueError: The head is another model's, the review contradicts itself, or nobody is left.
    """
    rules = Rules() if rules is None else rules
    if centers is not None:
        check_head(centers, faces)
    about_pictures = [one for one in reviewed if one.subject.file is not None]
    about_people = [one for one in reviewed if one.subject.file is None]
    found = _find_people(faces, rules.people, centers, _told_apart(about_people))
    people = overrule(decide([*published, *found]), about_people)
    group = who_is_who(faces, people)
    people = _held_apart(faces, people, group)
    pictures = _judge_pictures(faces, rules, centers, group, people)
    decisions = (*people, *overrule(decide(pictures), about_pictures))
    cleaned = clean(faces, decisions)
    if few := decide(_few_images(cleaned, rules.min_images)):
        subjects = {one.subject for one in few}
        few = overrule(few, [one for one in about_people if one.subject in subjects])
        decisions = (*few, *(one for one in decisions if one.subject not in subjects))
        cleaned = clean(faces, decisions)
    return Curation(decisions, cleaned, _hardest(faces, rules.hard, centers, cleaned, decisions))


def _find_people(
    faces: Faces,
    options: DuplicatePeople,
    centers: NDArray[np.float32] | None,
    separate: frozenset[frozenset[Person]],
) -> list[Finding]:
    """Finds couples by the means of embeddings, and by the head's centres where there are any.

    A head that was trained on two names of one person has pushed their centres apart, so that it
    alone would find few. Couples that only the head finds are not joined to those of the means:
    nobody has looked at the group as a whole.
    """
    found = find_duplicate_people(faces, options, None, separate)
    if separate:
        # What spoke for a couple whom a person told apart is still to be read in the plan.
        freely = find_duplicate_people(faces, options)
        found += [one for one in freely if frozenset(one.subject[::2]) in separate]
    if centers is None:
        return found
    known = {one.subject for one in found}
    taken = {who for one in found if one.action != KEEP for who in one.subject[::2]}
    for one in find_duplicate_people(faces, options, centers, separate):
        if one.subject not in known:
            is_free = taken.isdisjoint(one.subject[::2])
            action = one.action if is_free else KEEP
            found.append(one._replace(rule=DUPLICATE_CENTER, action=action))
    return found


def _told_apart(reviewed: Iterable[Decision]) -> frozenset[frozenset[Person]]:
    couples = (one.subject for one in reviewed if one.subject.other and one.action != MERGE)
    return frozenset(frozenset((one.person, one.other)) for one in couples)


def _held_apart(
    faces: Faces, people: Sequence[Decision], group: NDArray[np.int64]
) -> tuple[Decision, ...]:
    """Keeps couples whose merge would have joined two people whom a person told apart."""
    row = {person: place for place, person in enumerate(faces.people)}
    kept = []
    for one in people:
        person, _, other = one.subject
        if one.action == MERGE and group[row[person]] != group[row[other]]:
            one = replace(one, action=KEEP, evidence={**one.evidence, _APART: {"by": REVIEW}})
        kept.append(one)
    return tuple(kept)


def _judge_pictures(
    faces: Faces,
    rules: Rules,
    centers: NDArray[np.float32] | None,
    group: NDArray[np.int64],
    people: Sequence[Decision],
) -> list[Finding]:
    """Judges all pictures of the people who stay."""
    left = np.flatnonzero(clean(faces, people).label != DROPPED)
    merged = faces.merge(group).select(left)
    if centers is not None:
        centers = _centers_after(merged, faces, centers)
    return [
        *find_wrong_labels(merged, rules.labels, centers),
        *find_low_norms(merged, rules.norms),
        *find_duplicate_pictures(merged, rules.pictures),
    ]


def _centers_after(
    merged: Faces, faces: Faces, centers: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Centres of people who were not merged, and the mean embedding of those who were."""
    row = {person: place for place, person in enumerate(faces.people)}
    found = centers[[row[person] for person in merged.people]]
    named = np.array([row[merged.person(one)] for one in range(merged.num_images)])
    own = np.array([row[person] for person in merged.people])[merged.label]
    for label in np.unique(merged.label[named != own]):
        mean = merged.embedding[merged.label == label].mean(axis=0)
        found[label] = mean / max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny)
    return found


def _few_images(cleaned: Cleaned, min_images: int) -> list[Finding]:
    counts = np.bincount(cleaned.label[cleaned.label != DROPPED], minlength=len(cleaned.people))
    return [
        Finding(FEW_IMAGES, Subject(member), DROP, 1.0, {"images": int(counts[row])})
        for row in np.flatnonzero(counts < min_images)
        for member in cleaned.members[row]
    ]


def _hardest(
    faces: Faces,
    options: HardExamples,
    centers: NDArray[np.float32] | None,
    cleaned: Cleaned,
    decisions: Sequence[Decision],
) -> HardSet:
    """Selects from what is left; what a rule doubts, and no person kept, may be noise."""
    left = np.flatnonzero(cleaned.label != DROPPED)
    remaining = faces.merge(who_is_who(faces, decisions)).select(left)
    if centers is not None:
        centers = _centers_after(remaining, faces, centers)
    doubtful = {one.subject[:2] for one in decisions if REVIEW not in one.evidence}
    excluded = np.array(
        [(remaining.person(place), file) in doubtful for place, file in enumerate(remaining.file)]
    )
    hard = select_hard_examples(remaining, options, excluded, centers)
    return replace(hard, rows=left[hard.rows])
