"""Published lists of duplicate people as findings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from facezoo.curation.faces import Faces, Person
from facezoo.curation.plan import MERGE, Finding, Subject
from facezoo.data.couples import ListedCouple, read_couples, split_name, unknown_name

PUBLISHED_LIST: Final = "published_list"


def read_published(path: str | Path, faces: Faces) -> list[Finding]:
    """Reads who is said to be one: two ids to a line, and perhaps a score.

    An id is `set/name`, or the name alone where only one of the sets has it. A list in which no id
    is anybody's name is read as one of class numbers: rows of the data set's people, from 0, with
    the set's name before them (`set/7`) if there are several sets. It is all names or all numbers:
    a list that fits in part is of other data, and is refused.

    Args:
        path: The list; between ids stand tabs or, where no name has blanks, blanks. Empty lines,
            and those that begin with `#`, say nothing.
        faces: The people it is about.

    Returns:
        One for each couple, in the order of the list: merge the one with fewer pictures (of equal
        ones the later) into the other. The score is that of the list, as far as it is in [0, 1], or
        1. Evidence: `list`, the file's name; `line`; `score` as listed, or null.

    Raises:
        OSError: The list cannot be read.
        ValueError: It names nobody, somebody who is not there, or one person twice in a line; or a
            line is not of this form.
    """
    listed = read_couples(path)
    if not listed:
        raise ValueError(f"{path} must name two people to a line. Received: a list of none.")
    row = {person: place for place, person in enumerate(faces.people)}
    num_images = faces.num_images_of()
    known = _Known(faces.people)
    find = known.by_number if _is_numbered(listed, known) else known.by_name
    found: dict[Subject, Finding] = {}
    for couple in listed:
        stays, leaves = sorted(
            couple.look_up(find), key=lambda who: (-num_images[row[who]], row[who])
        )
        if stays == leaves:
            raise ValueError(
                f"{path}, line {couple.line}: two people are expected. Received: {stays} twice."
            )
        subject = Subject(leaves, other=stays)
        found.setdefault(subject, _finding(couple, subject))
    return list(found.values())


class _Known:
    """The people by data set, and the two ways to read an id."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.sets: dict[str, dict[str, Person]] = {}
        for person in people:
            self.sets.setdefault(person.dataset, {})[person.identity] = person

    def named(self, text: str) -> list[Person]:
        """Returns whose name this is: of one set if it says so, else in all."""
        fitting = [
            people[text.removeprefix(f"{dataset}/")]
            for dataset, people in self.sets.items()
            if text.startswith(f"{dataset}/") and text.removeprefix(f"{dataset}/") in people
        ]
        if fitting:
            return fitting
        return [people[text] for people in self.sets.values() if text in people]

    def by_name(self, text: str) -> Person:
        """Returns who it is, or raises ValueError."""
        if len(people := self.named(text)) == 1:
            return people[0]
        if people:
            raise ValueError(
                "A name that several data sets have needs the set's before it. Expected: "
                f"{' or '.join(map(str, people))}. Received: {text!r}."
            )
        if len(self.sets) > 1:
            dataset, text = split_name(text, self.sets)
        else:
            (dataset,) = self.sets
        raise unknown_name(text, self.sets[dataset], f"the data set {dataset!r}")

    def by_number(self, text: str) -> Person:
        """Returns whose class number it is, or raises ValueError."""
        if len(self.sets) > 1:
            dataset, number = split_name(text, self.sets)
        else:
            (dataset,) = self.sets
            number = text.removeprefix(f"{dataset}/")
        people = list(self.sets[dataset].values())
        if not number.isdecimal() or int(number) >= len(people):
            raise ValueError(
                f"Nobody in the data set {dataset!r} is called {text!r}, nor has that class "
                f"number: they are 0 to {len(people) - 1}."
            )
        return people[int(number)]


def _is_numbered(listed: Sequence[ListedCouple], known: _Known) -> bool:
    names = [name for couple in listed for name in couple.names]
    if any(known.named(name) for name in names):
        return False
    return all(name.rpartition("/")[2].isdecimal() for name in names)


def _finding(couple: ListedCouple, subject: Subject) -> Finding:
    score = 1.0 if couple.score is None else min(max(couple.score, 0.0), 1.0)
    evidence = {"list": Path(couple.file).name, "line": couple.line, "score": couple.score}
    return Finding(PUBLISHED_LIST, subject, MERGE, score, evidence)
