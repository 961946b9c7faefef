"""Pairs of anybody's images: a CSV with a header, one pair per line."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from facezoo.protocols.image_pairs import image_pairs
from facezoo.protocols.protocol import Protocol
from facezoo.protocols.text import fail, read_lines

_REQUIRED: Final = ("first", "second", "same")
_PEOPLE: Final = ("first_person", "second_person")
_OPTIONAL: Final = ("fold", *_PEOPLE)
_TRUTH: Final = {"1": True, "true": True, "0": False, "false": False}

_Rows = list[tuple[int, dict[str, str]]]


def read_pairs_csv(path: Path) -> Protocol:
    """Reads a CSV of pairs of images.

    Args:
        path: A CSV whose first line names its columns: `first` and `second`, image names; `same`,
            1, 0, true or false; optionally `fold`, a whole number; `first_person` and
            `second_person`, empty where not known. Every other column is a slice.

    Returns:
        The protocol, named as the file. Folds may be numbered from 0 or from 1.

    Raises:
        OSError: The file cannot be read.
        ValueError: A column is missing, a cell does not fit, a pair comes twice, or what is said
            of an image in one line contradicts another line. The message names the line.
    """
    path = Path(path)
    rows = list(_rows(path))
    same = [_truth(path, line, row["same"]) for line, row in rows]
    has_people = _PEOPLE[0] in (rows[0][1] if rows else {})
    people = _people(path, rows) if has_people else {}
    pairs = [(row["first"], row["second"]) for _, row in rows]
    _check_pairs(path, rows, same, people)
    columns = [name for name in (rows[0][1] if rows else ()) if name not in _REQUIRED + _OPTIONAL]
    slices = {name: [row[name] for _, row in rows] for name in columns}
    return image_pairs(path.stem, pairs, same, people, _folds(path, rows), slices)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(read_lines(path), skipinitialspace=True, strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        _check_header(path, header)
        for row in reader:
            if len(row) != len(header):
                raise fail(path, reader.line_num, f"{len(header)} cells, one per column", row)
            cells = dict(zip(header, (cell.strip() for cell in row), strict=True))
            for name in _REQUIRED[:2]:
                if not cells[name]:
                    raise fail(path, reader.line_num, f"an image in the column {name}", row)
            yield reader.line_num, cells
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not a CSV: {error}.") from error


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in _REQUIRED if name not in header]
    if not missing and (_PEOPLE[0] in header) != (_PEOPLE[1] in header):
        missing = [name for name in _PEOPLE if name not in header]
    if missing:
        raise ValueError(
            f"{path}, line 1: a list of pairs begins with a line that names its columns: "
            f"{', '.join(_REQUIRED)}, optionally {', '.join(_OPTIONAL)} and any others. "
            f"Missing: {', '.join(missing)}. Received: {', '.join(header)}."
        )
    if len(set(header)) < len(header) or "" in header:
        raise fail(path, 1, "names of columns, each once", header)


def _truth(path: Path, line: int, cell: str) -> bool:
    if cell.lower() not in _TRUTH:
        raise fail(path, line, "1, 0, true or false in the column same", cell)
    return _TRUTH[cell.lower()]


def _people(path: Path, rows: _Rows) -> dict[str, str]:
    """Returns the person of every image that has one."""
    found: dict[str, tuple[str, int]] = {}
    for line, row in rows:
        for image_column, person_column in zip(_REQUIRED[:2], _PEOPLE, strict=True):
            image, person = row[image_column], row[person_column]
            known, where = found.setdefault(image, (person, line))
            if known != person:
                raise fail(path, line, f"{known!r} to be on {image!r}, as in line {where}", person)
    return {image: person for image, (person, _) in found.items() if person}


def _check_pairs(path: Path, rows: _Rows, same: list[bool], people: dict[str, str]) -> None:
    seen: dict[frozenset[str], int] = {}
    for (line, row), is_genuine in zip(rows, same, strict=True):
        pair = frozenset((row["first"], row["second"]))
        if len(pair) == 1:
            raise fail(path, line, "two images", row["first"])
        if (before := seen.setdefault(pair, line)) != line:
            raise fail(path, line, f"every pair once, this one is in line {before}", sorted(pair))
        who = [people.get(image) for image in pair]
        if None not in who and (who[0] == who[1]) != is_genuine:
            raise fail(path, line, f"same to fit the people {', '.join(sorted(who))}", row["same"])


def _folds(path: Path, rows: _Rows) -> np.ndarray | None:
    if not rows or "fold" not in rows[0][1]:
        return None
    for line, row in rows:
        if not row["fold"].isdecimal():
            raise fail(path, line, "a whole number in the column fold", row["fold"])
    fold = np.array([int(row["fold"]) for _, row in rows])
    found = np.unique(fold)
    if found[0] > 1 or not np.array_equal(found, found[0] + np.arange(len(found))):
        raise ValueError(
            f"{path}: folds must be numbered from 0 or from 1 without a gap. "
            f"Received: {', '.join(map(str, found))}."
        )
    return fold - found[0]
