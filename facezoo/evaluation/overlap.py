"""The leak gate: finds people of the test in the training, by name, by picture and by face."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.data.people_manifest import PeopleManifest
from facezoo.data.person_names import comparable_names
from facezoo.evaluation.evidence import (
    EMBEDDING,
    EXACT,
    KINDS,
    NAME,
    NEAR,
    Evidence,
    by_face,
    by_name,
    by_picture,
)
from facezoo.evaluation.person_distances import nearest_strangers
from facezoo.thresholds import LARGEST_DISTANCE

# See `find_overlap` for how they were chosen.
STRANGERS: Final = 3
NEARNESS: Final = 0.5
_NAMED_IN_ERRORS: Final = 10


@dataclass(frozen=True)
class Overlap:
    """What was compared and what was found.

    Args:
        evidence: By kind, then the nearest first.
        num_test_people: People of the test.
        num_test_images: Their pictures that could be read.
        num_train_people: People of all training sets together.
        num_train_images: Their pictures that could be read.
        num_compared: For each kind, how many people of the test and of the training could be
            compared at all: whose names are names, who have a picture fit for a hash, whose faces
            were embedded by the same model.
        rule: When faces are taken for one person's, in words; None if faces were not compared.
        witness: Fingerprint of the model that embedded the faces; None likewise.
        num_reviewed: Couples that evidence spoke against, and who were found to be two people.
    """

    evidence: tuple[Evidence, ...]
    num_test_people: int
    num_test_images: int
    num_train_people: int
    num_train_images: int
    num_compared: Mapping[str, tuple[int, int]]
    rule: str | None = None
    witness: str | None = None
    num_reviewed: int = 0

    @property
    def people(self) -> tuple[str, ...]:
        """The people of the test who are in a training set by any evidence, ascending."""
        return tuple(sorted({one.test_person for one in self.evidence}))

    def people_by(self, kind: str) -> tuple[str, ...]:
        """Those by one kind of evidence, ascending."""
        return tuple(sorted({one.test_person for one in self.evidence if one.kind == kind}))

    def images_by(self, kind: str) -> int:
        """How many pictures of the test are in training sets, once for each set.

        Args:
            kind: `"exact"` or `"near"`.
        """
        return sum(one.num_images for one in self.evidence if one.kind == kind)


def find_overlap(
    train: Sequence[PeopleManifest], test: PeopleManifest, threshold: float | None = None
) -> Overlap:
    """Compares the people of the test with those of training sets.

    By name, where a name is one (`comparable_name`); by equal pixels; by near-duplicate pictures
    (`find_near`; pictures with an equal one are not counted again); by face: the mean embedding of
    each test person and the training person nearest to it. A face is *suspected* within
    `threshold`. Without one, each test person has a limit of their own: half the distance to the
    third nearest other person of the test. So it needs no scale: where a model crowds people
    together, nearness says less. The third, because the nearest may be the same person under
    another name. On halves of LFW (2,500 people each, of whom 125 on both sides; an
    Inception-ResNet-v1) this finds 73 % of those and 0.14 % of the others. One threshold for all
    that finds as many takes in six times as many others.

    The model under test may have learned to tell duplicates in its training set apart, and is then
    a bad witness; another model is a better one.

    Args:
        train: Training sets, one or more.
        test: The people of the test.
        threshold: Squared L2 distance in [0, 4], or None.

    Raises:
        ValueError: The training sets are none or have one name, the threshold is out of range,
            embeddings are of different models, or there are too few people for limits of their own.
    """
    names = [one.name for one in train]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            "train must be one training set or more, of different names. "
            f"Received: {', '.join(names) or 'none'}."
        )
    if threshold is not None and not 0.0 <= threshold <= LARGEST_DISTANCE:
        raise ValueError(
            "threshold must be a squared L2 distance of unit embeddings, "
            f"in [0, {LARGEST_DISTANCE:g}]. Received: {threshold}."
        )
    faces = [one for one in train if _same_witness(one, test)]
    found = [one for each in train for one in (*by_name(each, test), *by_picture(each, test))]
    if faces:
        limit = _limit(test, threshold)
        found.extend(one for each in faces for one in by_face(each, test, limit))
    found.sort(key=lambda one: (KINDS.index(one.kind), one.distance or 0.0, one.test_person))
    return Overlap(
        tuple(found),
        len(test.people),
        len(test.file),
        sum(len(one.people) for one in train),
        sum(len(one.file) for one in train),
        _count_compared(train, faces, test),
        _rule(threshold) if faces else None,
        test.witness if faces else None,
    )


def _same_witness(train: PeopleManifest, test: PeopleManifest) -> bool:
    if train.witness is None or test.witness is None:
        return False
    if train.witness != test.witness:
        raise ValueError(
            f"The faces of {train.name!r} and of {test.name!r} must be embedded by one model to be "
            f"compared. Received: {train.witness} and {test.witness}. Embed one set anew."
        )
    return True


def _limit(test: PeopleManifest, threshold: float | None) -> NDArray[np.floating]:
    if threshold is not None:
        return np.full(len(test.people), threshold, dtype=np.float64)
    if len(test.people) <= STRANGERS:
        raise ValueError(
            f"It takes more than {STRANGERS} people in the test to tell from them how near "
            f"strangers are. Received: {len(test.people)} in {test.name!r}. Give a threshold."
        )
    return NEARNESS * nearest_strangers(test.mean_embedding, STRANGERS)[:, -1]


def _rule(threshold: float | None) -> str:
    if threshold is not None:
        return f"squared L2 distance at most {threshold:g}, as given"
    return (
        f"squared L2 distance at most {NEARNESS:g} times that of the test person to number "
        f"{STRANGERS} of the nearest other people of the test"
    )


def _count_compared(
    train: Sequence[PeopleManifest], faces: Sequence[PeopleManifest], test: PeopleManifest
) -> dict[str, tuple[int, int]]:
    counts = {
        NAME: _count_named,
        EXACT: lambda one: len(one.people),
        NEAR: lambda one: len(np.unique(one.person[one.hashes.hashed])),
    }
    compared = {kind: (count(test), sum(map(count, train))) for kind, count in counts.items()}
    embedded = sum(len(one.people) for one in faces)
    return compared | {EMBEDDING: (len(test.people) if faces else 0, embedded)}


def _count_named(people: PeopleManifest) -> int:
    return sum(map(len, comparable_names(people.people).values()))


def overlap_table(overlap: Overlap) -> dict[str, Any]:
    """Returns the counts as a flat table for a report: people and pictures by each evidence."""
    return {
        "num_test_people": overlap.num_test_people,
        "num_test_images": overlap.num_test_images,
        "num_train_people": overlap.num_train_people,
        "num_train_images": overlap.num_train_images,
        **{
            f"num_{side}_people_compared_by_{kind}": overlap.num_compared[kind][place]
            for kind in KINDS
            for place, side in enumerate(("test", "train"))
        },
        **{f"num_people_by_{kind}": len(overlap.people_by(kind)) for kind in KINDS},
        **{f"num_images_by_{kind}": overlap.images_by(kind) for kind in (EXACT, NEAR)},
        "embedding_rule": overlap.rule,
        "embedding_witness": overlap.witness,
        "num_couples_found_to_be_two_people": overlap.num_reviewed,
        "num_people_in_training": len(overlap.people),
    }


def check_overlap(overlap: Overlap, allow: bool = False) -> dict[str, Any] | None:
    """Refuses to score a model on people it was trained on.

    Args:
        overlap: What was found.
        allow: Score it all the same, as contaminated.

    Returns:
        None if nobody was found; else what stamps the report: `num_people` and `reason`.

    Raises:
        ValueError: Somebody was found and that is not allowed; the message names the first.
    """
    people = overlap.people
    if not people:
        return None
    counts = {kind: len(overlap.people_by(kind)) for kind in KINDS}
    found = ", ".join(f"{counts[kind]} by {kind}" for kind in KINDS if counts[kind])
    reason = (
        f"{len(people)} of {overlap.num_test_people} people of the test are in the training set, "
        f"or seem to be ({found})"
    )
    if allow:
        return {"num_people": len(people), "reason": reason}
    named = ", ".join(people[:_NAMED_IN_ERRORS])
    more = len(people) - _NAMED_IN_ERRORS
    raise ValueError(
        f"{reason}: {named}{f', and {more} more' if more > 0 else ''}. A score on them says little "
        "about strangers. Look at them with `python -m facezoo overlap`, and give those who are "
        "two people with --different; test on other people, leave these out of the training, or "
        "give --allow_overlap to have the report stamped."
    )
