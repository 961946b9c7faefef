"""The sections of a page: which decisions stand together, and how many of them are shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from facezoo.curation.duplicate_pictures import DUPLICATE_PICTURE
from facezoo.curation.low_norms import LOW_NORM
from facezoo.curation.plan import KEEP, Decision
from facezoo.curation.report.album import Album
from facezoo.curation.report.cards import (
    Card,
    couple_card,
    group_cards,
    person_card,
    picture_card,
)
from facezoo.curation.wrong_labels import WRONG_LABEL
from facezoo.pages import Table, rows_table

# Of the sure and of the doubtful ones of each section: what a person has the patience for.
MAX_SHOWN: Final = 60
_COUPLES, _PEOPLE, _OTHERS = "couples", "people", "others"
# A picture that several rules speak of stands in the first section of these.
_PICTURE_RULES: Final = (WRONG_LABEL, DUPLICATE_PICTURE, LOW_NORM)


@dataclass(frozen=True)
class Part:
    """The sure or the doubtful ones of a section.

    Args:
        title: Which.
        cards: The first of them.
        num_shown: How many decisions the cards hold.
        num_all: How many there are.
        table: What the evidence says in numbers, a row for each card; None where there is no need.
    """

    title: str
    cards: Sequence[Card]
    num_shown: int
    num_all: int
    table: Table | None = None


@dataclass(frozen=True)
class Section:
    """Decisions of one kind.

    Args:
        title: What was looked for.
        note: How to read it.
        parts: The sure ones, then the doubtful ones; none where nothing was found.
    """

    title: str
    note: str
    parts: Sequence[Part]


class _Kind(NamedTuple):
    title: str
    note: str
    cards: Callable[[Sequence[Decision], Album], list[Card]]


def _each(make: Callable[[Decision, Album], Card]) -> Callable[..., list[Card]]:
    return lambda decisions, album: [make(one, album) for one in decisions]


_KINDS: Final[Mapping[str, _Kind]] = {
    _COUPLES: _Kind(
        "Duplicate people",
        "Are both one person? On the left who would be merged into, or give way to, the one on the "
        "right; the pictures that speak for it stand first. Relatives may look alike.",
        _each(couple_card),
    ),
    _PEOPLE: _Kind("People", "All their pictures would go.", _each(person_card)),
    WRONG_LABEL: _Kind(
        "Wrong labels",
        "Does the first picture show the person it is said to show? Beside it are those of their "
        "pictures that are most like all of theirs, and the other person whom it is most like.",
        _each(picture_card),
    ),
    DUPLICATE_PICTURE: _Kind(
        "Duplicate pictures",
        "Each box holds copies of one picture, whether equal or nearly so.",
        group_cards,
    ),
    _OTHERS: _Kind("Other pictures", "What other rules found.", _each(picture_card)),
}
# Sections that stand on a page even if nothing was found.
_ALWAYS: Final = (_COUPLES, WRONG_LABEL, DUPLICATE_PICTURE)


def sort_decisions(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    """Deals decisions to the sections that show them, in their order."""
    dealt: dict[str, list[Decision]] = {name: [] for name in (*_KINDS, LOW_NORM)}
    for one in decisions:
        dealt[_section_of(one)].append(one)
    return dealt


def _section_of(decision: Decision) -> str:
    if decision.subject.other is not None:
        return _COUPLES
    if decision.subject.file is None:
        return _PEOPLE
    return next((rule for rule in _PICTURE_RULES if rule in decision.evidence), _OTHERS)


def make_sections(dealt: Mapping[str, Sequence[Decision]], album: Album) -> list[Section]:
    """Makes the sections of all that has a card; norms have a sheet.

    Args:
        dealt: What `sort_decisions` returned.
        album: Of the pictures.
    """
    return [
        Section(kind.title, kind.note, _parts(name, kind, dealt[name], album))
        for name, kind in _KINDS.items()
        if dealt[name] or name in _ALWAYS
    ]


def _parts(name: str, kind: _Kind, decisions: Sequence[Decision], album: Album) -> list[Part]:
    sure = [one for one in decisions if one.action != KEEP]
    doubtful = [one for one in decisions if one.action == KEEP]
    parts = []
    for title, some in (("To be done", sure), ("Doubtful: nothing is done", doubtful)):
        shown = some[:MAX_SHOWN]
        if shown:
            table = _evidence_table(shown) if name == _COUPLES else None
            parts.append(Part(title, kind.cards(shown, album), len(shown), len(some), table))
    return parts


def _evidence_table(couples: Sequence[Decision]) -> Table:
    rows = [
        {"couple": number, "person": str(one.subject.person), "other": str(one.subject.other)}
        | {key: value for said in one.evidence.values() for key, value in _numbers(said)}
        | {"action": one.action, "score": one.score}
        for number, one in enumerate(couples, start=1)
    ]
    return rows_table("Couples by their numbers", rows)


def _numbers(said: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(key, one) for key, one in said.items() if one is None or isinstance(one, int | float)]
