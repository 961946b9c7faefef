"""A page on which a person looks at couples that may be one person in test and training."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facezoo.data.people_manifest import PeopleManifest
from facezoo.evaluation.evidence import EMBEDDING, EXACT, NAME, NEAR, Evidence
from facezoo.evaluation.overlap import Overlap
from facezoo.pages import Picture, environment, small_picture

_TEMPLATE: Final = "contact_sheet.html.j2"
MAX_COUPLES: Final = 300
NUM_PICTURES: Final = 3
# Of couples of LFW and FIW within this share of their limits, nearly all were one person.
_SURE: Final = 0.7

# Gives the encoded picture of a set's name and a file's; None if it is not at hand.
ReadPicture = Callable[[str, str], bytes | None]


@dataclass(frozen=True)
class _Side:
    dataset: str
    person: str
    pictures: list[Picture]


@dataclass(frozen=True)
class _Couple:
    sides: tuple[_Side, _Side]
    suggestion: str
    reasons: list[str]


def write_contact_sheet(
    path: str | Path,
    overlap: Overlap,
    train: Sequence[PeopleManifest],
    test: PeopleManifest,
    read: ReadPicture,
) -> None:
    """Writes one self-contained page: couples side by side, the surest first, with pictures.

    Args:
        path: The HTML file.
        overlap: What `find_overlap(train, test)` returned.
        train: The training sets, of different names.
        test: The people of the test.
        read: Gives pictures; where it has none, the page says so.

    Raises:
        OSError: The file cannot be written, or a picture not be read.
    """
    sets = {one.name: one for one in train}
    couples = group_couples(overlap)
    shown = []
    for evidence in couples[:MAX_COUPLES]:
        first = evidence[0]
        learned = sets[first.train_set]
        sides = (
            _side(test, first.test_person, [one.test_file for one in evidence], read),
            _side(learned, first.train_person, [one.train_file for one in evidence], read),
        )
        shown.append(_Couple(sides, suggestion(evidence), [_reason(one) for one in evidence]))
    content = (
        environment(__package__)
        .get_template(_TEMPLATE)
        .render(
            test_name=test.name,
            train_names=list(sets),
            overlap=overlap,
            couples=shown,
            num_couples=len(couples),
            num_pictures=NUM_PICTURES,
        )
    )
    Path(path).write_text(content, encoding="utf-8")


def group_couples(overlap: Overlap) -> list[list[Evidence]]:
    """Gathers the evidence for each couple of a test person and a training person.

    Returns:
        Couples with equal or nearly equal pictures, then those of one name, then by how near their
        faces are for their limit.
    """
    couples: dict[tuple[str, str, str], list[Evidence]] = defaultdict(list)
    for one in overlap.evidence:
        couples[one.train_set, one.train_person, one.test_person].append(one)
    return sorted(couples.values(), key=_order)


def _order(evidence: Sequence[Evidence]) -> tuple[bool, bool, float]:
    kinds = {one.kind for one in evidence}
    faces = [one.distance / one.limit for one in evidence if one.kind == EMBEDDING and one.limit]
    return not {EXACT, NEAR} & kinds, NAME not in kinds, faces[0] if faces else 0.0


def suggestion(evidence: Sequence[Evidence]) -> str:
    """Says what the evidence for one couple amounts to.

    Args:
        evidence: One or more, of the same two people.
    """
    kinds = {one.kind: one for one in evidence}
    if EXACT in kinds:
        return "The same picture."
    if NEAR in kinds:
        return "The same picture, changed a little."
    if NAME in kinds:
        return "One name, and like faces." if EMBEDDING in kinds else "One name. Namesakes?"
    face = kinds[EMBEDDING]
    sure = face.distance <= _SURE * face.limit
    return "Very likely one person." if sure else "Perhaps one person: look closely."


def _reason(evidence: Evidence) -> str:
    if evidence.kind == NAME:
        return "Equal names."
    if evidence.kind == EMBEDDING:
        return f"Faces: distance {evidence.distance:.3f}, limit {evidence.limit:.3f}."
    what = "equal" if evidence.kind == EXACT else f"near, {evidence.distance:g} of 256 bits differ"
    return f"Pictures: {evidence.num_images} {what}."


def _side(people: PeopleManifest, person: str, best: Sequence[str], read: ReadPicture) -> _Side:
    """The pictures that are evidence, then others of the person."""
    files = list(dict.fromkeys([*best, *people.files_of(person)]))[:NUM_PICTURES]
    return _Side(
        people.name, person, [small_picture(file, read(people.name, file)) for file in files]
    )
