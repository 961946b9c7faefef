"""Embeddings of photographs as CSV, JSON lines or NumPy arrays, on stdout or in a file."""

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, TextIO

import numpy as np

from facezoo.cli.embedded import Row

NPY: Final = "npy"
NPZ: Final = "npz"
CSV: Final = "csv"
JSON_LINES: Final = "jsonl"
FORMATS: Final = (CSV, JSON_LINES, NPY, NPZ)
# What a terminal or a pipe could make nothing of.
BINARY: Final = (NPY, NPZ)


def write_rows(form: str, rows: Iterable[Row], path: str | None) -> None:
    """Writes a table.

    Args:
        form: One of `FORMATS`.
        rows: What became of each photograph; text is written row by row.
        path: A file, which appears when it is whole, or a pipe; None is stdout, for text only.

    Raises:
        OSError: It cannot be written.
    """
    if path is None:
        _write_text(form, rows, sys.stdout)
        return
    with _opened(path) as file:
        if form in BINARY:
            _write_arrays(form, list(rows), file)
        else:
            with io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="") as text:
                _write_text(form, rows, text)


def _write_text(form: str, rows: Iterable[Row], file: TextIO) -> None:
    (_write_csv if form == CSV else _write_jsonl)(rows, file)


def _write_csv(rows: Iterable[Row], file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    header_is_due = True
    for row in rows:
        if row.error:
            continue
        if header_is_due:
            names = [f"embedding_{number}" for number in range(len(row.embedding))]
            writer.writerow(["path", "norm", *names])
            header_is_due = False
        # str() of a float32 is the shortest text that reads back as the same float32.
        writer.writerow([row.path, row.norm, *row.embedding])


def _write_jsonl(rows: Iterable[Row], file: TextIO) -> None:
    for row in rows:
        content = {"path": row.path}
        if row.error:
            content["error"] = row.error
        else:
            content["norm"] = float(str(row.norm))
            if row.typical is not None:
                content["typical"] = row.typical
            content["embedding"] = [float(str(value)) for value in row.embedding]
        file.write(json.dumps(content) + "\n")


def _write_arrays(form: str, rows: list[Row], file: BinaryIO) -> None:
    dims = {len(row.embedding) for row in rows if not row.error}
    unreadable = np.full(dims.pop() if dims else 0, np.nan, np.float32)
    matrix = np.stack([unreadable if row.error else row.embedding for row in rows])
    if form == NPY:
        np.save(file, matrix)
        return
    norm = np.array([np.nan if row.error else row.norm for row in rows], np.float32)
    np.savez(file, path=np.array([row.path for row in rows]), embedding=matrix, norm=norm)


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is whole."""
    # A pipe or a device can be written to, but not replaced.
    is_plain = os.path.isfile(path) or not os.path.exists(path)
    place = f"{path}.partial" if is_plain else path
    try:
        with open(place, "wb") as file:
            yield file
        if is_plain:
            os.replace(place, path)
    finally:
        if is_plain and os.path.exists(place):
            os.remove(place)
