"""Finds duplicate people, wrong labels, poor pictures and hard examples, and plans what to do."""

import functools
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from facezoo.cli import model_loading
from facezoo.cli.curation_files import CLEANED, check_review, write_curation
from facezoo.cli.curation_sets import CuratedSet, read_sets
from facezoo.curation import (
    Faces,
    Rules,
    curate,
    curation_report,
    read_published,
    read_reviewed,
)
from facezoo.data.test_time import CUT, FITS, TestTime
from facezoo.overrides import override

USAGE = (
    "curate --images=SET [--images=SET ..] --model=WITNESS [--out=DIR] [--reviewed=CSV] "
    "[--set KEY=VALUE ..] [--json]"
)
HELP = """Looks through one data set or several, each a folder with one folder per person, a CSV
(path, identity) or tfds:NAME, for

  duplicate people    people under two names, within a set and across sets
  wrong labels        pictures of somebody else
  low norms           pictures in which the model sees little
  duplicate pictures  equal and nearly equal ones
  hard examples       the hardest of what is right, it seems

The model is a witness. One that was trained on these people has learned to tell apart two names of
one person, and to take a wrong label for right: take another.

Writes into --out: report.html, on which to look at everything; review.csv, in whose column
`action` (merge, drop, keep) you may change what you see otherwise; plan.jsonl, the same with all
evidence; cleaned.csv and hard.csv (path, identity), which `--input` of the pipeline and `--images`
take; class_map.json, who was merged into whom; curation.json, the counts; and for each set what
the model saw, so that a second run with --reviewed=review.csv takes seconds. The pictures
themselves stay as they are.

Exit codes: 0 done, 2 error."""


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--images`, `--model`, how pictures are cropped, what is known already, and `--out`."""
    model_loading.define_flag(flag_values)
    flags.DEFINE_multi_string(
        "images", [], "A data set. Repeat it for more.", flag_values=flag_values
    )
    flags.DEFINE_multi_float(
        "crop",
        [1.0],
        "Share of the pictures' sides, around the middle, that the model sees: one for all sets, "
        "or one for each.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "fit",
        CUT,
        FITS,
        "How pictures get the proportions of the network's input. Sets are cut to different "
        "proportions: stretched, their faces would not fit each other.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "reviewed",
        None,
        "A review.csv that somebody went through: what it says wins.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "published",
        None,
        "A list of duplicate people: two names, and perhaps a score, in each line.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "set",
        [],
        "Changes a rule, e.g. people.threshold=0.6; an unknown key lists the known ones.",
        flag_values=flag_values,
    )
    flags.DEFINE_string("out", "curation", "Folder for what is written.", flag_values=flag_values)


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Curates data sets.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read or written.
        ValueError: A set, the model, a list or a rule cannot be used.
    """
    views = _views(arguments, options)
    rules = functools.reduce(override, options["set"].value, Rules())
    out, as_json = Path(options["out"].value), options["json"].value
    check_review(out, options["reviewed"].value)
    model = model_loading.load(options["model"].value)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as spool:
        sets = read_sets(views, model, out, Path(spool))
        _warn(sets)
        report = _curate(sets, rules, options)
    print(json.dumps(report, indent=2, ensure_ascii=False) if as_json else _words(report, out))
    return 0


def _curate(sets: Sequence[CuratedSet], rules: Rules, options: flags.FlagValues) -> dict[str, Any]:
    """Curates, writes everything, and returns the content of curation.json."""
    faces = Faces.of_manifests([one.manifest for one in sets])
    published, reviewed = options["published"].value, options["reviewed"].value
    curation = curate(
        faces,
        rules,
        published=read_published(published, faces) if published else (),
        reviewed=read_reviewed(reviewed, faces) if reviewed else (),
    )
    title = f"Curation of {' and '.join(one.manifest.name for one in sets)}"
    report = curation_report(faces, curation, rules, title, options["model"].value)
    write_curation(Path(options["out"].value), faces, curation, report, sets)
    return report


def _views(arguments: Sequence[str], options: flags.FlagValues) -> list[tuple[str, TestTime]]:
    """What to read, and what the model sees of it."""
    if arguments:
        raise app.UsageError(f"curate takes flags only. Received: {' '.join(arguments)}.")
    sources, crops = options["images"].value, options["crop"].value
    if not sources:
        raise app.UsageError("--images is needed: a data set, e.g. a folder of people.")
    if len(crops) not in (1, len(sources)):
        raise app.UsageError(
            f"--crop must be given once, or once for each of {len(sources)} sets. "
            f"Received: {len(crops)} times."
        )
    crops = crops * len(sources) if len(crops) == 1 else crops
    fit = options["fit"].value
    return [(one, TestTime(crop, fit=fit)) for one, crop in zip(sources, crops, strict=True)]


def _warn(sets: Sequence[CuratedSet]) -> None:
    for one in sets:
        if refusals := one.manifest.refusals:
            print(
                f"facezoo curate: {len(refusals)} files of {one.manifest.name} are left out. The "
                f"first, {refusals[0].key}: {refusals[0].reason}",
                file=sys.stderr,
            )


def _words(report: Mapping[str, Any], out: Path) -> str:
    counts, before, after = report["counts"], report["before"], report["after"]
    lines = [
        f"before     {before['num_people']:,} people, {before['num_images']:,} pictures",
        f"merged     {counts['merged_people']:,} people into others",
        f"dropped    {counts['dropped_people']:,} people, {counts['dropped_pictures']:,} pictures",
        f"in doubt   {counts['kept_couples']:,} couples, {counts['kept_pictures']:,} pictures",
        f"after      {after['num_people']:,} people, {after['num_images']:,} pictures, of which "
        f"{counts['hard']:,} are hard",
        *(f"note       {warning}" for warning in report["warnings"]),
        f"Look at {out / 'report.html'}; change `action` in {out / 'review.csv'} and give it back "
        "with --reviewed.",
    ]
    if (out / CLEANED).is_file():
        lines.append(f"To train on what is left: --input={out / CLEANED}")
    return "\n".join(lines)
