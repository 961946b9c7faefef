"""Couples that somebody has looked at and found to be two people: the leak gate lets them pass."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Final

from facezoo.evaluation.evidence import EXACT
from facezoo.evaluation.overlap import Overlap

_COLUMNS: Final = ("train_set", "train_person", "test_person")
Couple = tuple[str, str, str]


def read_reviews(path: str | Path) -> frozenset[Couple]:
    """Reads a CSV of couples.

    Args:
        path: With a header and the columns `train_set`, `train_person` and `test_person`, such as
            lines of the overlap.csv that `python -m facezoo overlap` writes.

    Raises:
        OSError: The file cannot be read.
        ValueError: A column is missing, or a cell is empty.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path} must begin with a line that names its columns: {', '.join(_COLUMNS)}, "
                f"and any others. Missing: {', '.join(missing)}. Take lines of overlap.csv, and "
                "its first."
            )
        couples = set()
        for row in rows:
            couple = tuple(row[name] for name in _COLUMNS)
            if not all(couple):
                raise ValueError(
                    f"{path}, line {rows.line_num}: expected {', '.join(_COLUMNS)}. "
                    f"Received: {couple}."
                )
            couples.add(couple)
    return frozenset(couples)


def without_reviewed(overlap: Overlap, reviewed: frozenset[Couple]) -> Overlap:
    """Takes away the evidence against couples that were found to be two people.

    Equal pictures stay: nobody is two people in one picture.

    Args:
        overlap: What was found.
        reviewed: Couples of `read_reviews`; those against whom there is no evidence do not matter.
    """
    kept, passed = [], set()
    for one in overlap.evidence:
        couple = (one.train_set, one.train_person, one.test_person)
        if couple in reviewed and one.kind != EXACT:
            passed.add(couple)
        else:
            kept.append(one)
    return replace(overlap, evidence=tuple(kept), num_reviewed=len(passed))
