"""The cards of a page: a decision, or a few that belong together, with pictures and reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facezoo.curation.faces import Person
from facezoo.curation.plan import DROP, Decision
from facezoo.curation.report.album import Album
from facezoo.curation.report.reasons import reasons
from facezoo.pages import Picture

# Of each person on a card.
NUM_PICTURES: Final = 3
# Of a group; more copies of one picture show nothing new.
_MOST_COPIES: Final = 8


@dataclass(frozen=True)
class Strip:
    """Pictures side by side.

    Args:
        words: What they are; may be empty.
        name: Whose they are; empty where that is said elsewhere.
        pictures: One or more.
        num_more: How many others there are.
    """

    words: str
    name: str
    pictures: Sequence[Picture]
    num_more: int = 0


@dataclass(frozen=True)
class Card:
    """What a person looks at to make up their mind.

    Args:
        strips: The pictures.
        decisions: What is proposed.
        reasons: Of each decision: what every rule says, rule and words.
    """

    strips: Sequence[Strip]
    decisions: Sequence[Decision]
    reasons: Sequence[Sequence[tuple[str, str]]]


def couple_card(decision: Decision, album: Album) -> Card:
    """Both people side by side, the pictures that the evidence names first."""
    subject = decision.subject
    named = album.named_rows(decision.evidence, subject)
    strips = [_strip(album, "", one, named) for one in (subject.person, subject.other)]
    return _card(strips, [decision])


def person_card(decision: Decision, album: Album) -> Card:
    """Somebody, for whom no other one stands."""
    named = album.named_rows(decision.evidence, decision.subject)
    return _card([_strip(album, "", decision.subject.person, named)], [decision])


def picture_card(decision: Decision, album: Album) -> Card:
    """A picture, whom it is said to show, and whom it may show instead."""
    subject = decision.subject
    row = album.row(subject)
    strips = [Strip("picture", "", [album.picture(row)])]
    if album.num_images(subject.person) > 1:
        strips.append(_strip(album, "said to be", subject.person, besides=row))
    others = [one for one in album.named_people(decision.evidence) if one != subject.person]
    if others:
        strips.append(_strip(album, "nearest other", others[0]))
    return _card(strips, [decision])


def group_cards(decisions: Sequence[Decision], album: Album) -> list[Card]:
    """Puts pictures and those that their evidence names together, in the decisions' order."""
    found = [
        [album.row(one.subject), *album.named_rows(one.evidence, one.subject)] for one in decisions
    ]
    first = np.repeat([rows[0] for rows in found], [len(rows) for rows in found])
    rows = np.concatenate(found)
    size = album.faces.num_images
    links = coo_array((np.ones(len(rows), bool), (first, rows)), (size, size))
    group = connected_components(links, directed=False)[1]
    members: dict[int, list[int]] = {}
    for number, rows in enumerate(found):
        members.setdefault(int(group[rows[0]]), []).append(number)
    return [
        _group_card(
            [decisions[number] for number in some],
            list(dict.fromkeys(row for number in some for row in found[number])),
            album,
        )
        for some in members.values()
    ]


def _group_card(decisions: Sequence[Decision], rows: Sequence[int], album: Album) -> Card:
    """Every copy with what becomes of it."""
    strips = [
        Strip(
            DROP if album.is_dropped(row) else "stays",
            f"{album.faces.person(row)}: {album.faces.file[row]}",
            [album.picture(row)],
        )
        for row in rows[:_MOST_COPIES]
    ]
    return _card(strips, decisions)


def _strip(
    album: Album,
    words: str,
    person: Person,
    first: Sequence[int] = (),
    besides: int | None = None,
) -> Strip:
    pictures = album.show(person, NUM_PICTURES, first, besides)
    num_more = album.num_images(person) - (besides is not None) - len(pictures)
    return Strip(words, str(person), pictures, num_more)


def _card(strips: Sequence[Strip], decisions: Sequence[Decision]) -> Card:
    shown = {picture.name for strip in strips for picture in strip.pictures}
    shown |= {strip.name for strip in strips}
    return Card(strips, decisions, [reasons(one.evidence, shown) for one in decisions])
