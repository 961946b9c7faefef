"""The plan: what should be done with people and pictures, one decision with its evidence each."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from facezoo.curation.faces import Person

DROP: Final = "drop"
MERGE: Final = "merge"
KEEP: Final = "keep"
# Where rules disagree about a subject, the first of these wins.
ACTIONS: Final = (DROP, MERGE, KEEP)

Evidence = Mapping[str, Any]


class Subject(NamedTuple):
    """What a decision is about: a picture, a person, or a couple of people.

    Args:
        person: Whose picture it is; or who is to be dropped, or merged into `other`.
        file: The picture; None for a person or a couple.
        other: The second of a couple, who stays; None for a picture or a person.
    """

    person: Person
    file: str | None = None
    other: Person | None = None

    def __str__(self) -> str:
        if self.file is not None:
            return f"picture {self.file} of {self.person}"
        return f"{self.person}" if self.other is None else f"{self.person} and {self.other}"


class Finding(NamedTuple):
    """What one rule says of one subject.

    Args:
        rule: Name of the rule.
        subject: About whom, or which picture.
        action: `"drop"`, `"merge"` (couples only) or `"keep"`: worth a look, but no more.
        score: How sure the rule is, in [0, 1]; orders what a person looks at.
        evidence: What it is based on, plain JSON.
    """

    rule: str
    subject: Subject
    action: str
    score: float
    evidence: Evidence


@dataclass(frozen=True)
class Decision:
    """What is to be done with one subject, and why.

    Args:
        action: `"drop"`, `"merge"` or `"keep"`.
        subject: About whom, or which picture.
        score: The highest of the rules that say so, in [0, 1].
        evidence: Of every rule that has a say, by its name.
    """

    action: str
    subject: Subject
    score: float
    evidence: Mapping[str, Evidence]


def decide(findings: Iterable[Finding]) -> tuple[Decision, ...]:
    """Makes one decision of all that is said of a subject: drop before merge before keep.

    Returns:
        Couples and people first, then pictures; the surest first.
    """
    said: dict[Subject, list[Finding]] = {}
    for finding in findings:
        said.setdefault(finding.subject, []).append(finding)
    decisions = []
    for subject, some in said.items():
        action = min((one.action for one in some), key=ACTIONS.index)
        score = max(one.score for one in some if one.action == action)
        evidence = {one.rule: dict(one.evidence) for one in some}
        decisions.append(Decision(action, subject, float(score), evidence))
    return tuple(sorted(decisions, key=_order))


def _order(decision: Decision) -> tuple[Any, ...]:
    subject = decision.subject
    other = subject.other or Person("", "")
    is_picture = subject.file is not None
    action = ACTIONS.index(decision.action)
    return is_picture, action, -decision.score, subject.person, subject.file or "", other


def write_plan(path: str | Path, decisions: Iterable[Decision]) -> None:
    """Writes one decision per line, JSON; the file appears when it is whole.

    A line has `action`, `dataset`, `identity`, `file`, `other_dataset`, `other_identity`, `score`
    and `evidence`; what does not apply is null.

    Raises:
        OSError: The file cannot be written.
    """
    path = Path(path)
    aside = path.with_name(path.name + ".partial")
    with open(aside, "w", encoding="utf-8", newline="\n") as file:
        for decision in decisions:
            file.write(json.dumps(_row(decision), ensure_ascii=False) + "\n")
    os.replace(aside, path)


def read_plan(path: str | Path) -> tuple[Decision, ...]:
    """Reads a plan.

    Raises:
        OSError: The file cannot be read.
        ValueError: A line is no decision, two are about one subject, or there is none at all.
    """
    decisions: dict[Subject, Decision] = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                decision = _parse(json.loads(line))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{path}, line {number}: expected a decision as `write_plan` writes it. "
                    f"Received: {line.strip()[:120]!r} ({error})."
                ) from error
            if decision.subject in decisions:
                raise ValueError(
                    f"{path}, line {number}: there is a decision about {decision.subject} already."
                )
            decisions[decision.subject] = decision
    if not decisions:
        raise ValueError(
            f"{path} is an empty plan: there is nothing to do. Curate again with stricter rules, "
            "or use the data as they are."
        )
    return tuple(decisions.values())


def _row(decision: Decision) -> dict[str, Any]:
    person, file, other = decision.subject
    return {
        "action": decision.action,
        "dataset": person.dataset,
        "identity": person.identity,
        "file": file,
        "other_dataset": other and other.dataset,
        "other_identity": other and other.identity,
        "score": round(decision.score, 6),
        "evidence": decision.evidence,
    }


def _parse(row: Mapping[str, Any]) -> Decision:
    person, other = Person(row["dataset"], row["identity"]), None
    if row["other_identity"] is not None:
        other = Person(row["other_dataset"], row["other_identity"])
    subject = Subject(person, row["file"], other)
    check_action(row["action"], subject)
    return Decision(row["action"], subject, float(row["score"]), dict(row["evidence"]))


def check_action(action: str, subject: Subject) -> None:
    """Raises ValueError for what cannot be done with a subject."""
    if action not in ACTIONS:
        raise ValueError(f"action must be one of {', '.join(ACTIONS)}. Received: {action!r}.")
    if action == MERGE and subject.other is None:
        raise ValueError(f"Only a couple can be merged. Received: {subject}.")
    if subject.file is not None and subject.other is not None:
        raise ValueError(f"A subject is a picture or a couple. Received: {subject.file}, {subject}")
