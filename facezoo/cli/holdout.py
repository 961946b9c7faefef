"""The paper's own protocol for `evaluate`: all pairs of each of several splits of people."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from facezoo.cli import evaluation_files, leak_gate
from facezoo.cli.evaluated_systems import load_systems
from facezoo.data.people_manifest import Picture
from facezoo.data.sources import list_input
from facezoo.data.test_time import TestTime
from facezoo.evaluation.holdout import IDENTITY, IMAGE
from facezoo.evaluation.holdout_people import HoldoutPeople, holdout_people
from facezoo.evaluation.holdout_report import KIND, HoldoutOptions, report_holdout
from facezoo.evaluation.report import write_holdout_html, write_holdout_tensorboard
from facezoo.evaluation.verification_report import ReportOptions

HELP = """The paper's own protocol, all pairs of each of several splits of people:
  python -m facezoo evaluate --model=PRESET_DIR --protocol=holdout --images=PEOPLE_DIR
PEOPLE_DIR holds one folder per person, or is a CSV (path, identity). There is no list of pairs, and
the threshold is chosen on each split itself."""
PEOPLE = "a folder with one folder per person, or a CSV (path, identity)"
_OWN = ("num_splits", "disjoint")
# What only a list of pairs can answer.
_OF_PAIRS = (
    *("pairs", "choose_on", "store", "robustness"),
    *("num_frames", "set_rule", "num_resamples"),
)


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--num_splits` and `--disjoint`."""
    flags.DEFINE_integer(
        "num_splits",
        5,
        f"Of {KIND}: into how many splits images are dealt.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "disjoint",
        IDENTITY,
        (IDENTITY, IMAGE),
        f"Of {KIND}: what no two splits share; {IMAGE}, as the paper has it, leaves people in "
        "several splits.",
        flag_values=flag_values,
    )


def check_flags(options: flags.FlagValues) -> None:
    """Raises app.UsageError where flags belong to another protocol than the one that is named."""
    if options["protocol"].value != KIND:
        if wrong := _given(options, _OWN):
            raise app.UsageError(f"{wrong}: only with --protocol={KIND}.")
        return
    if wrong := _given(options, _OF_PAIRS):
        raise app.UsageError(
            f"{wrong}: not with --protocol={KIND}, which makes all pairs itself, chooses the "
            "threshold on each split, and has its standard error from the splits. Leave it out."
        )
    if not options["images"].value:
        raise app.UsageError(f"--images is needed: {PEOPLE}.")


def _given(options: flags.FlagValues, names: Sequence[str]) -> str:
    return ", ".join(f"--{name}" for name in names if options[name].present)


def run(options: flags.FlagValues, test_time: TestTime, report_options: ReportOptions) -> int:
    """Evaluates.

    Args:
        options: Those of `evaluate`, checked.
        test_time: Crop and views.
        report_options: Which FARs.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The model, the people or a picture cannot be used.
    """
    holdout_options = HoldoutOptions(
        report_options.far_targets,
        report_options.allow_few,
        options["num_splits"].value,
        options["disjoint"].value,
    )
    batch_size = options["batch_size"].value
    # Pictures of TFDS lie in a file of ours, as long as they are read.
    with tempfile.TemporaryDirectory() as aside:
        people = holdout_people(list_input(options["images"].value, Path(aside, "spool")))
        # Everything that can be wrong with the question is found before the model is loaded.
        holdout_options.deal(people.label)
        model, systems = load_systems(options)
        overlap, stamp = leak_gate.look(model, people.name, _pictures(people), options)
        evaluation = report_holdout(systems, people, test_time, holdout_options, batch_size)
    evaluation.report.update(overlap=overlap, contaminated=stamp)
    out = Path(options["out"].value)
    evaluation_files.start(out)
    write_holdout_html(out / evaluation_files.PAGE, evaluation.report, evaluation.histograms)
    write_holdout_tensorboard(out / evaluation_files.TENSORBOARD, evaluation.report)
    evaluation_files.write_json(out / evaluation_files.REPORT, evaluation.report)
    evaluation_files.show(out, evaluation.report, options["json"].value, _rows)
    return 0


def _pictures(people: HoldoutPeople) -> list[Picture]:
    return [
        Picture(name, people.identity[label], people.reference[name].read)
        for name, label in zip(people.picture, people.label, strict=True)
    ]


def _rows(report: Mapping[str, Any]) -> evaluation_files.Rows:
    """The printed table: means over splits with their standard errors."""
    header = ("", "AUC", "VAL at FAR", "macro VAL at FAR")
    return [header, *(_cells(system) for system in report["systems"].values())]


def _cells(system: Mapping[str, Any]) -> Sequence[str]:
    points = [point for point in system["val_at_far"] if "refused" not in point]
    vals = (
        ", ".join(f"{_with_error(point, key)} at {point['target']:g}" for point in points) or "-"
        for key in ("val", "macro_val")
    )
    return (system["name"], _with_error(system, "auc"), *vals)


def _with_error(found: Mapping[str, Any], name: str) -> str:
    return f"{found[name]:.4f} \N{PLUS-MINUS SIGN} {found[f'{name}_standard_error']:.4f}"
