"""The CSV in which a person looks through a plan, and what they made of it, which wins."""

import csv
import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from facezoo.curation.faces import Faces, Person
from facezoo.curation.plan import Decision, Subject, check_action

REVIEW: Final = "review"
_KEY: Final = ("action", "dataset", "identity", "file", "other_dataset", "other_identity")
_COLUMNS: Final = (*_KEY, "score", "rules", "evidence")


def write_review(path: str | Path, decisions: Iterable[Decision]) -> None:
    """Writes a plan as a table: `action` is for the reader to change, the rest says what about.

    Raises:
        OSError: The file cannot be written.
    """
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for one in decisions:
            person, picture, other = one.subject
            writer.writerow(
                (
                    one.action,
                    *person,
                    picture or "",
                    *(other or ("", "")),
                    f"{one.score:.4f}",
                    " ".join(one.evidence),
                    json.dumps(one.evidence, ensure_ascii=False),
                )
            )


def read_reviewed(path: str | Path, faces: Faces) -> tuple[Decision, ...]:
    """Reads what a person decided.

    Args:
        path: A CSV as `write_review` writes it, of which lines may be taken away or added; `score`,
            `rules` and `evidence` are not looked at and may be missing. Lines without a `file` are
            about a couple (`other_identity` given) or a person (to be dropped, or kept).
        faces: What it must be about.

    Raises:
        OSError: The file cannot be read.
        ValueError: A column is missing, an action cannot be, a person or picture is not among the
            faces, or two lines about one subject disagree.
    """
    known = _Known(faces)
    found: dict[Subject, Decision] = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if missing := [name for name in _KEY if name not in (rows.fieldnames or ())]:
            raise ValueError(
                f"{path} must begin with a line that names its columns, {', '.join(_KEY)}, with "
                f"commas between them. Missing: {', '.join(missing)}."
            )
        for row in rows:
            try:
                decision = known.decision(row)
                _add(found, decision)
            except ValueError as error:
                raise ValueError(f"{path}, line {rows.line_num}: {error}") from error
    if not found:
        raise ValueError(f"{path} holds no decision. Leave it out, or give lines of a review.csv.")
    return tuple(found.values())


def overrule(decisions: Iterable[Decision], reviewed: Sequence[Decision]) -> tuple[Decision, ...]:
    """Puts what a person decided in place of what rules proposed, and adds the rest of it.

    Args:
        decisions: Of the rules.
        reviewed: Of the person; about a couple in either order.
    """
    wanted = {_unordered(one.subject): one for one in reviewed}
    kept = []
    for one in decisions:
        theirs = wanted.pop(_unordered(one.subject), None)
        if theirs is not None:
            evidence = {**one.evidence, REVIEW: {"proposed": one.action}}
            one = Decision(theirs.action, theirs.subject, theirs.score, evidence)
        kept.append(one)
    return (*kept, *wanted.values())


def _unordered(subject: Subject) -> tuple[object, ...]:
    if subject.other is None:
        return subject
    return (*sorted((subject.person, subject.other)),)


def _add(found: dict[Subject, Decision], decision: Decision) -> None:
    before = found.setdefault(_unordered(decision.subject), decision)
    if (before.action, before.subject) != (decision.action, decision.subject):
        raise ValueError(
            f"{decision.subject} is to {decision.action}, but an earlier line says "
            f"{before.action} about {before.subject}. Keep one of them."
        )


class _Known:
    """People and pictures by name."""

    def __init__(self, faces: Faces) -> None:
        self._people = {str(one): one for one in faces.people}
        self._pictures = {
            (faces.person(row).dataset, file): faces.person(row)
            for row, file in enumerate(faces.file)
        }

    def decision(self, row: Mapping[str, str | None]) -> Decision:
        """Returns what a line says.

        Raises:
            ValueError: It names something unknown, or something that cannot be done.
        """
        cell = {name: row[name] or "" for name in _KEY}
        person = self._person(cell["dataset"], cell["identity"])
        other = None
        if cell["other_identity"]:
            other = self._person(cell["other_dataset"], cell["other_identity"])
        subject = Subject(person, cell["file"] or None, other)
        check_action(cell["action"].strip().lower(), subject)
        if other == person:
            raise ValueError(f"A couple is two people. Received: {person} twice.")
        if subject.file is not None:
            self._check_picture(subject)
        action = cell["action"].strip().lower()
        return Decision(action, subject, 1.0, {REVIEW: {"proposed": None}})

    def _person(self, dataset: str, identity: str) -> Person:
        name = str(Person(dataset, identity))
        if name not in self._people:
            raise ValueError(f"Nobody is called {name!r}.{_hint(name, self._people)}")
        return self._people[name]

    def _check_picture(self, subject: Subject) -> None:
        person = self._pictures.get((subject.person.dataset, subject.file))
        if person is None:
            names = [file for dataset, file in self._pictures if dataset == subject.person.dataset]
            raise ValueError(
                f"{subject.person.dataset} has no picture {subject.file!r}."
                f"{_hint(subject.file, names)}"
            )
        if person != subject.person:
            raise ValueError(
                f"The picture {subject.file!r} is one of {person}, not of {subject.person}."
            )


def _hint(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else " Is it about other data?"
