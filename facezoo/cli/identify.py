"""Who is on these photographs? Looks for each face among the people of a gallery."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Final

import numpy as np
from absl import app, flags

from facezoo import shapes
from facezoo.cli import gallery_model, gallery_threshold
from facezoo.cli.embedded import Row, embed_pictures
from facezoo.cli.gallery_model import VIEW_HELP
from facezoo.cli.pictures import PICTURES, find_pictures
from facezoo.data.references import printable
from facezoo.gallery import Gallery, Identification, Identifier, IdentifyOptions
from facezoo.gallery.identify import NEAREST, RULES
from facezoo.gallery.index import EXACT, INDEXES
from facezoo.thresholds import Threshold

USAGE = (
    "identify PICTURES.. --gallery=FILE --model=PATH "
    "[--fpir=1e-2 | --far=1e-2 | --threshold=T] [--top=5] [--json]"
)
HELP = f"""PICTURES are each {PICTURES}.
Prints who each shows, unknown if nobody is near enough, and the nearest people with their squared
L2 distance and nearest picture. A face shows the nearest person within the threshold, or with --k
the one with the most of those of the k nearest pictures that are within it.

{gallery_threshold.HELP}

{VIEW_HELP}
--json prints a line for each photograph: path, identity (null: unknown) and candidates, or path and
error; and the threshold.

Exit codes, for scripts: 0 all identified, 1 some unknown or unreadable, 2 error, 3 no verdict,
because no threshold was measured."""
ALL_IDENTIFIED, SOME_UNKNOWN, NO_VERDICT = 0, 1, 3
_ROWS_AT_ONCE: Final = 32

_Answers = Iterator[tuple[Row, Identification | None]]


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--gallery`, the model's, the threshold's, and how faces are compared."""
    gallery_model.define_flags(flag_values)
    gallery_threshold.define_flags(flag_values)
    flags.DEFINE_string("gallery", None, "The gallery's file.", flag_values=flag_values)
    flags.DEFINE_enum(
        "rule",
        NEAREST,
        RULES,
        "How far a person is: as the nearest picture, or as the mean of all.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer("k", 1, "How many of the nearest pictures vote.", flag_values=flag_values)
    flags.DEFINE_integer("top", 5, "How many people to tell of.", flag_values=flag_values)
    flags.DEFINE_enum(
        "index",
        EXACT,
        INDEXES,
        "What searches; those of faiss need the extra `search`.",
        flag_values=flag_values,
    )


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Identifies faces.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read.
        ValueError: The gallery, the model or its thresholds cannot be used.
    """
    if not options["gallery"].value:
        raise app.UsageError("--gallery is needed: the file that `facezoo gallery enrol` made.")
    gallery_threshold.check_flags(options)
    how = IdentifyOptions(*(options[name].value for name in ("rule", "k", "top", "index")))
    paths = find_pictures(arguments)
    gallery = Gallery(options["gallery"].value)
    identifier = _identifier(gallery, how)
    model, binding = gallery_model.load_model(options, gallery)
    threshold = gallery_threshold.choose(options, gallery, identifier, model)
    rows = embed_pictures(paths, model, binding.view, "identify")
    all_known = True
    for row, answer in _identified(rows, identifier, threshold):
        all_known &= answer is not None and answer.identity is not None
        if options["json"].value:
            print(_line(row, answer, threshold), flush=True)
        elif answer is not None:
            print(_words(row, answer, threshold, how), flush=True)
    if threshold is None:
        print(_NO_THRESHOLD, file=sys.stderr)
        return NO_VERDICT
    return ALL_IDENTIFIED if all_known else SOME_UNKNOWN


_NO_THRESHOLD: Final = (
    "facezoo identify: no verdict, because no threshold was measured. Run `facezoo gallery "
    "calibrate`, take a model with stored thresholds, or give --threshold."
)


def _identifier(gallery: Gallery, how: IdentifyOptions) -> Identifier:
    try:
        return Identifier(gallery.faces(), how)
    except ModuleNotFoundError as error:
        # In one line, as all that the user can mend.
        raise ValueError(str(error)) from error


def _identified(
    rows: Iterable[Row], identifier: Identifier, threshold: Threshold | None
) -> _Answers:
    """Yields what became of each row; None for one that has no embedding."""
    rows = iter(rows)
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        probes = [row.embedding for row in some if not row.error]
        found = iter(identifier(np.stack(probes), threshold and threshold.value) if probes else ())
        for row in some:
            yield row, None if row.error else next(found)


def _line(row: Row, answer: Identification | None, threshold: Threshold | None) -> str:
    if answer is None:
        return json.dumps({"path": row.path, "error": row.error})
    report = {
        "path": row.path,
        "identity": answer.identity,
        "distance": answer.best.distance,
        "distance_name": shapes.DISTANCE,
        "threshold": threshold and asdict(threshold),
        "candidates": [asdict(candidate) for candidate in answer.candidates],
    }
    return json.dumps(report)


def _words(
    row: Row, answer: Identification, threshold: Threshold | None, how: IdentifyOptions
) -> str:
    verdict = "no verdict" if threshold is None else answer.identity or "unknown"
    lines = [f"{printable(os.fsencode(row.path))}: {verdict}"]
    for one in answer.candidates:
        votes = f"  {one.votes} of {how.k} votes" if how.k > 1 else ""
        source = f"  {one.source}" if one.source else ""
        lines.append(f"  {one.distance:.4f}  {one.identity}{votes}{source}")
    return "\n".join(lines)
