"""Writes the embeddings of photographs as CSV, JSON lines or a NumPy matrix."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

import numpy as np
from absl import app, flags
from tqdm import tqdm

from facezoo import shapes
from facezoo.cli import model_loading
from facezoo.cli.model_loading import LoadedModel
from facezoo.cli.pictures import read_picture

USAGE = "embed FILES.. --model=PATH [--format=csv|jsonl|npy] [--out=FILE] [--json]"
HELP = """Embeds every photograph, in the order given. The pictures must be cropped to the face as
those that the model was trained on.

  csv    path, norm, embedding_0 .. embedding_<D-1>; a file that cannot be read has no row
  jsonl  one object a line: path, norm, embedding, or path and error
  npy    float32 matrix [files, D]; the row of a file that cannot be read is NaN

Exit codes: 0 every file was embedded, 1 some could not be read (named on stderr; the others are
embedded), 2 error."""
FORMATS = ("csv", "jsonl", "npy")
SOME_UNREADABLE = 1
_BATCH_SIZE = 32


@dataclass(frozen=True)
class _Row:
    """What became of one file; without an error it has an embedding, float32 [D], and a norm."""

    path: str
    embedding: np.ndarray | None = None
    norm: np.float32 | None = None
    error: str | None = None


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--model`, `--format` and `--out`."""
    model_loading.define_flag(flag_values)
    flags.DEFINE_enum(
        "format",
        "csv",
        FORMATS,
        "What to write: csv (the default), jsonl or npy; --json means jsonl.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "out",
        None,
        "Write to this file, which appears when it is whole, instead of stdout.",
        flag_values=flag_values,
    )


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Embeds photographs.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: The output cannot be written.
        ValueError: The model cannot be used.
    """
    if not arguments:
        raise app.UsageError("embed takes one photograph or more. Received: none.")
    form = "jsonl" if options["json"].value else options["format"].value
    out = options["out"].value
    if form == "npy" and not out:
        raise app.UsageError("--format=npy is binary: it needs --out=FILE.npy.")
    model = model_loading.load(options["model"].value)
    errors: list[str] = []
    with _opened(out) as file:
        _write(form, _embedded(arguments, model, errors), file)
    if errors:
        print(
            f"facezoo embed: {len(errors)} of {len(arguments)} files could not be read.",
            file=sys.stderr,
        )
    return SOME_UNREADABLE if errors else 0


def _embedded(paths: Sequence[str], model: LoadedModel, errors: list[str]) -> Iterator[_Row]:
    """Yields a row per file, in order; what is wrong with a file goes to stderr and `errors`."""
    hidden = len(paths) <= _BATCH_SIZE or not sys.stderr.isatty()
    with tqdm(total=len(paths), unit="image", file=sys.stderr, disable=hidden) as bar:
        for start in range(0, len(paths), _BATCH_SIZE):
            for row in _embed_batch(paths[start : start + _BATCH_SIZE], model):
                if row.error:
                    errors.append(row.error)
                    bar.write(f"facezoo embed: {row.error}", file=sys.stderr)
                yield row
                bar.update()


def _embed_batch(paths: Sequence[str], model: LoadedModel) -> Iterator[_Row]:
    pictures, errors, embedded = {}, {}, {}
    for path in paths:
        try:
            pictures[path] = read_picture(path)
        except (OSError, ValueError) as error:
            errors[path] = str(error)
    if pictures:
        prediction = model.embed(list(pictures.values()))
        answers = zip(prediction[shapes.EMBEDDING], prediction[shapes.NORM], strict=True)
        embedded = dict(zip(pictures, answers, strict=True))
    for path in paths:
        yield _Row(path, error=errors[path]) if path in errors else _Row(path, *embedded[path])


def _write(form: str, rows: Iterable[_Row], file: TextIO) -> None:
    if form == "npy":
        _write_npy(rows, file)
    elif form == "jsonl":
        _write_jsonl(rows, file)
    else:
        _write_csv(rows, file)


def _write_csv(rows: Iterable[_Row], file: TextIO) -> None:
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


def _write_jsonl(rows: Iterable[_Row], file: TextIO) -> None:
    for row in rows:
        content = {"path": row.path}
        if row.error:
            content["error"] = row.error
        else:
            content["norm"] = float(str(row.norm))
            content["embedding"] = [float(str(value)) for value in row.embedding]
        file.write(json.dumps(content) + "\n")


def _write_npy(rows: Iterable[_Row], file: TextIO) -> None:
    rows = list(rows)
    dims = {len(row.embedding) for row in rows if not row.error}
    unreadable = np.full(dims.pop() if dims else 0, np.nan, np.float32)
    matrix = np.stack([unreadable if row.error else row.embedding for row in rows])
    np.save(file.buffer, matrix)


@contextmanager
def _opened(path: str | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name only when it is whole."""
    if path is None:
        yield sys.stdout
        return
    # A pipe or a device can be written to, but not replaced.
    is_plain = os.path.isfile(path) or not os.path.exists(path)
    place = f"{path}.partial" if is_plain else path
    try:
        with open(place, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield file
        if is_plain:
            os.replace(place, path)
    finally:
        if is_plain and os.path.exists(place):
            os.remove(place)
