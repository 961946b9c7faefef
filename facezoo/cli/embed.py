"""Writes the embeddings of photographs as CSV, JSON lines or NumPy arrays."""

import sys
from collections.abc import Iterable, Iterator, Sequence

from absl import app, flags

from facezoo.cli import embedding_tables, model_loading, views
from facezoo.cli.embedded import Row, embed_pictures
from facezoo.cli.pictures import find_pictures

USAGE = "embed PICTURES.. --model=PATH [--format=csv|jsonl|npy|npz] [--out=FILE] [--json]"
HELP = """Embeds photographs: files, folders, which are searched at any depth, and quoted patterns
such as 'photos/**/*.jpg'. The rows stand in the order of the arguments, sorted within each; a file
that is named twice has one row. The pictures must be cropped to the face as those that the model
was trained on; --crop, --flip, --scales and --fit say what else is done to them.

  csv    path, norm, embedding_0 .. embedding_<D-1>; a file that cannot be read has no row
  jsonl  one object a line: path, norm, embedding, or path and error; typical: false if the picture
         looks unlike the crops of the training, where the model knows
  npy    float32 matrix [files, D]; the row of a file that cannot be read is NaN
  npz    path, embedding as in npy, and norm, by name in one file

Exit codes: 0 every file was embedded, 1 some could not be read (named on stderr; the others are
embedded), 2 error."""
SOME_UNREADABLE = 1


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--model`, `--format`, `--out`, and what is done to the pictures."""
    model_loading.define_flag(flag_values)
    views.define_flags(flag_values)
    flags.DEFINE_enum(
        "format",
        embedding_tables.CSV,
        embedding_tables.FORMATS,
        "What to write: csv (the default), jsonl, npy or npz; --json means jsonl.",
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
        OSError: A folder cannot be listed, or the output not be written.
        ValueError: There are no photographs, or the model cannot be used.
    """
    if not arguments:
        raise app.UsageError("embed takes one photograph, folder or pattern, or more.")
    form = embedding_tables.JSON_LINES if options["json"].value else options["format"].value
    out = options["out"].value
    if form in embedding_tables.BINARY and not out:
        raise app.UsageError(f"--format={form} is binary: it needs --out=FILE.{form}.")
    view = views.test_time(options)
    paths = find_pictures(arguments)
    model = model_loading.load(options["model"].value)
    errors: list[str] = []
    rows = _noting(embed_pictures(paths, model, view, "embed"), errors)
    embedding_tables.write_rows(form, rows, out)
    if not errors:
        return 0
    print(f"facezoo embed: {len(errors)} of {len(paths)} files could not be read.", file=sys.stderr)
    return SOME_UNREADABLE


def _noting(rows: Iterable[Row], errors: list[str]) -> Iterator[Row]:
    for row in rows:
        if row.error:
            errors.append(row.error)
        yield row
