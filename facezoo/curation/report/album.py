"""The pictures of a page: found by what evidence calls them, and read one by one."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from facezoo.curation.faces import Faces, Person
from facezoo.curation.plan import DROP, Decision, Subject
from facezoo.pages import Picture, small_picture

# Gives the encoded picture of a row of the faces; None if it is not at hand.
ReadPicture = Callable[[int], bytes | None]

# Pixels: 3 kB each, so that a page may hold two thousand.
_SIDE: Final = 96


class Album:
    """All pictures and people by name, and what is to become of them.

    Args:
        faces: All of them.
        decisions: The plan.
        read: Gives pictures.

    Raises:
        ValueError: A decision is about somebody or something else.
    """

    def __init__(self, faces: Faces, decisions: Iterable[Decision], read: ReadPicture) -> None:
        self.faces = faces
        self._rows: dict[Person, list[int]] = defaultdict(list)
        self._row: dict[tuple[str, str], int] = {}
        for row, file in enumerate(faces.file):
            person = faces.person(row)
            self._rows[person].append(row)
            self._row[person.dataset, file] = row
        self._datasets = list(dict.fromkeys(person.dataset for person in self._rows))
        self._people = {str(person): person for person in self._rows}
        # One picture may stand beside many others.
        self.picture: Callable[[int], Picture] = cache(
            lambda row: small_picture(faces.file[row], read(row), _SIDE)
        )
        self._dropped: set[int] = set()
        for one in decisions:
            self._check(one.subject)
            if one.action == DROP:
                row = self.row(one.subject)
                self._dropped.update(self._rows[one.subject.person] if row is None else [row])

    def _check(self, subject: Subject) -> None:
        people = (subject.person, subject.other or subject.person)
        known = all(person in self._rows for person in people)
        if not known or (subject.file is not None and self.row(subject) is None):
            raise ValueError(f"There is no {subject} among these faces: is it their plan?")

    def row(self, subject: Subject) -> int | None:
        """The row of a picture; None if the person has none of that name."""
        row = self._row.get((subject.person.dataset, subject.file))
        return row if row in self._rows.get(subject.person, ()) else None

    def is_dropped(self, row: int) -> bool:
        """Says whether the plan drops a picture, or the person."""
        return row in self._dropped

    def num_images(self, person: Person) -> int:
        """How many pictures somebody has."""
        return len(self._rows[person])

    def named_rows(self, evidence: Mapping[str, Any], subject: Subject) -> list[int]:
        """The pictures that evidence names: `{"dataset": .., "file": ..}`, or by a mere file.

        Args:
            evidence: Of all rules; plain JSON.
            subject: In whose data sets a mere file is looked for first.
        """
        people = (subject.person, subject.other or subject.person)
        datasets = dict.fromkeys([*(one.dataset for one in people), *self._datasets])
        found = {}
        for name in _names(evidence):
            places = [name] if isinstance(name, tuple) else [(one, name) for one in datasets]
            row = next((self._row[one] for one in places if one in self._row), None)
            if row is not None:
                found[row] = None
        return list(found)

    def named_people(self, evidence: Mapping[str, Any]) -> list[Person]:
        """The people that evidence names as `dataset/identity`."""
        named = (self._people.get(text) for text in _names(evidence))
        return list(dict.fromkeys(person for person in named if person is not None))

    def show(
        self, person: Person, count: int, first: Sequence[int] = (), besides: int | None = None
    ) -> list[Picture]:
        """Pictures of somebody: those asked for, then those most like all of theirs.

        Args:
            person: Who.
            count: How many at most.
            first: Rows; those that are somebody else's are left out.
            besides: The row of a picture that is not to be shown, nor to be like.
        """
        rows = np.array([row for row in self._rows[person] if row != besides], dtype=np.intp)
        wanted = [row for row in first if row in set(rows.tolist())]
        embedding = self.faces.embedding[rows]
        order = np.argsort(-(embedding @ embedding.sum(axis=0)), kind="stable")
        shown = list(dict.fromkeys([*wanted, *rows[order].tolist()]))[:count]
        return [self.picture(row) for row in shown]


def _names(content: Any) -> Iterator[str | tuple[str, str]]:
    """All texts in plain JSON, and in their place pictures as data set and file."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping) and {"dataset", "file"} <= content.keys():
        yield content["dataset"], content["file"]
    elif isinstance(content, Mapping | list | tuple):
        for part in content.values() if isinstance(content, Mapping) else content:
            yield from _names(part)
