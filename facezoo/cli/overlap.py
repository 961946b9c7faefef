"""Finds people of a test set in training sets: by name, by picture, and by face."""

import csv
import functools
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from absl import app, flags

from facezoo import thresholds
from facezoo.cli import model_loading
from facezoo.cli.people import DIFFERENT, SETS, read_people
from facezoo.data.manifest_file import SUFFIX, save_manifest
from facezoo.data.people_manifest import PeopleManifest
from facezoo.data.references import ImageRef, SourceError
from facezoo.data.sources import list_input
from facezoo.data.test_time import CUT, TestTime
from facezoo.evaluation.contact_sheet import write_contact_sheet
from facezoo.evaluation.evidence import EXACT, KINDS, NEAR, Evidence
from facezoo.evaluation.overlap import Overlap, find_overlap, overlap_table
from facezoo.evaluation.reviews import read_reviews, without_reviewed

USAGE = "overlap --train=DIR [--train=DIR ..] --test=DIR [--model=WITNESS] [--out=DIR] [--json]"
HELP = """Compares the people of a test set with those of training sets, by each of

  name       spellings of one name are equal; numbers and codes are no names
  exact      pictures with the same pixels
  near       near-duplicate pictures, by perceptual hash
  embedding  people whose mean embeddings are near; needs --model

The model is a witness. One that was trained on these people may have learned to tell apart two
names of one person: then take another. Without --model faces are not compared.

Writes into --out: overlap.csv (one line for each piece of evidence), overlap.json, and
contact_sheet.html, on which to look at the couples; and of each set a manifest, test.npz,
train-1.npz .., which --train and --test take in place of the pictures. Manifests hold names and
embeddings: personal data, as the pictures are. Couples that turn out to be two people are left out
the next time, here and in `evaluate`, if --different has their lines of overlap.csv.

Exit codes, for scripts: 0 nobody found, 1 somebody found, 2 error."""
NONE_FOUND, FOUND = 0, 1
_WORDS = {
    "name": "by name",
    "exact": "by equal pictures",
    "near": "by near-duplicate pictures",
    "embedding": "by face",
}


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--model`, the two sides and how they are cropped, `--threshold` and `--out`."""
    model_loading.define_flag(flag_values)
    flags.DEFINE_multi_string(
        "train", [], f"A training set: {SETS}. Repeat it for more.", flag_values=flag_values
    )
    flags.DEFINE_string("test", None, f"The test set: {SETS}.", flag_values=flag_values)
    for side in ("train", "test"):
        flags.DEFINE_float(
            f"{side}_crop",
            1.0,
            f"Share of the sides of {side} pictures, around the middle, that the model sees, cut "
            "further to the proportions of its input.",
            flag_values=flag_values,
        )
    flags.DEFINE_float(
        "threshold",
        None,
        "Squared L2 distance of mean embeddings up to which two people are suspected, in place of "
        "a limit for each person, found from the test set.",
        flag_values=flag_values,
    )
    flags.DEFINE_string("different", None, DIFFERENT, flag_values=flag_values)
    flags.DEFINE_string("out", "overlap", "Folder for what is written.", flag_values=flag_values)


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Looks for the test's people in the training sets.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read or written.
        ValueError: A set or the model cannot be used.
    """
    sources = _sources(arguments, options)
    # Sets are cut to different proportions: stretched faces would not fit each other.
    views = {side: TestTime(options[f"{side}_crop"].value, fit=CUT) for side in ("train", "test")}
    if (threshold := options["threshold"].value) is not None:
        thresholds.given(threshold)
    reviews = options["different"].value
    reviewed = read_reviews(reviews) if reviews else frozenset()
    out, path = Path(options["out"].value), options["model"].value
    model = model_loading.load(path) if path else None
    out.mkdir(parents=True, exist_ok=True)
    sets = {}
    for name, source in sources.items():
        sets[name] = read_people(source, model, views[name.partition("-")[0]])
        _warn(sets[name])
        if not source.endswith(SUFFIX):
            save_manifest(sets[name], out / f"{name}{SUFFIX}")
    test, *train = sets.values()
    overlap = without_reviewed(find_overlap(train, test, threshold), reviewed)
    report = _report(overlap, [test, *train])
    _write_csv(out / "overlap.csv", overlap)
    text = json.dumps(report, indent=2, ensure_ascii=False)
    (out / "overlap.json").write_text(text + "\n", encoding="utf-8")
    write_contact_sheet(out / "contact_sheet.html", overlap, train, test, _read_picture)
    print(text if options["json"].value else _words(overlap, out))
    return FOUND if overlap.people else NONE_FOUND


def _sources(arguments: Sequence[str], options: flags.FlagValues) -> dict[str, str]:
    """What to read, by the name of the manifest to be written; the test first."""
    if arguments:
        raise app.UsageError(f"overlap takes flags only. Received: {' '.join(arguments)}.")
    train, test = options["train"].value, options["test"].value
    if not train or not test:
        raise app.UsageError(f"--train and --test are needed, each {SETS}.")
    if len(set(train)) < len(train):
        raise app.UsageError(f"Every --train must be another set. Received: {', '.join(train)}.")
    return {"test": test} | {f"train-{number}": one for number, one in enumerate(train, start=1)}


def _warn(people: PeopleManifest) -> None:
    if people.refusals:
        first = people.refusals[0]
        print(
            f"facezoo overlap: {len(people.refusals)} files of {people.name} could not be compared "
            f"(overlap.json lists them). The first, {first.key}: {first.reason}",
            file=sys.stderr,
        )


def _read_picture(source: str, file: str) -> bytes | None:
    reference = _references(source).get(file)
    try:
        return reference and reference.read()
    except OSError:
        return None


@functools.lru_cache
def _references(source: str) -> Mapping[str, ImageRef]:
    """The pictures of a set by name; none where a manifest outlived them."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            listing = list_input(source, Path(folder, "spool"))
    except SourceError:
        return {}
    return {image.key: image for image in listing.images}


def _report(overlap: Overlap, sets: Sequence[PeopleManifest]) -> dict[str, Any]:
    return {
        **overlap_table(overlap),
        "people": overlap.people,
        "evidence": [asdict(one) for one in overlap.evidence],
        "refused_files": {one.name: [list(each) for each in one.refusals] for one in sets},
    }


def _write_csv(path: Path, overlap: Overlap) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Evidence)])
        writer.writerows(asdict(one).values() for one in overlap.evidence)


def _words(overlap: Overlap, out: Path) -> str:
    lines = [
        f"test      {overlap.num_test_people:,} people, {overlap.num_test_images:,} pictures",
        f"training  {overlap.num_train_people:,} people, {overlap.num_train_images:,} pictures",
    ]
    for kind in KINDS:
        compared, against = overlap.num_compared[kind]
        found = f"{len(overlap.people_by(kind)):,} of {compared:,} people"
        if kind in (EXACT, NEAR):
            found += f", {overlap.images_by(kind):,} pictures"
        if not compared or not against:
            found = "not compared"
        lines.append(f"{_WORDS[kind]:<28}{found} (against {against:,})")
    if overlap.num_reviewed:
        lines.append(f"found to be two people      {overlap.num_reviewed:,} couples, left out")
    lines.append(f"in the training, it seems   {len(overlap.people):,} people of the test")
    lines.append(f"To look at them: {out / 'contact_sheet.html'}; all evidence: overlap.csv")
    return "\n".join(lines)
