"""The flags of `evaluate`: what is scored, on what, and how."""

from absl import app, flags

from facezoo import protocols
from facezoo.cli import holdout, model_loading, views
from facezoo.cli.people import DIFFERENT, SETS
from facezoo.evaluation.baselines import BASELINES
from facezoo.evaluation.verification_report import ReportOptions
from facezoo.protocols import MEAN_EMBEDDING, MEAN_SIMILARITY

_TEXTS = {
    "protocol": (None, "Kind of the list of pairs."),
    "pairs": (None, "The list of pairs."),
    "images": (
        None,
        "The folder that the names in the list are relative to; not for packs. In "
        f"{holdout.KIND} {holdout.PEOPLE}.",
    ),
    "choose_on": (None, "A second list, of other people: thresholds are chosen on it."),
    "out": ("evaluation", "Folder for the report; made if it is not there."),
    "witness": (
        None,
        "The model that compares faces with those of --train; without it the one that is scored, "
        "which is a poor witness if it is weak, or was taught to tell these people apart.",
    ),
    "different": (None, DIFFERENT),
}
_SWITCHES = {
    "allow_few": "Report VAL also where fewer than ten false accepts would stand behind the FAR.",
    "robustness": "Score spoiled pictures too: JPEG quality, size, blur, rotation, fewer numbers.",
    "store": "Put the thresholds into the model's preset.json; needs --choose_on.",
    "allow_overlap": "Score the model on people of its training too, and stamp the report.",
}
_COUNTS = {
    "num_frames": (100, "Of a video in ytf; 0 for all."),
    "batch_size": (64, "Views embedded at once."),
    "num_resamples": (1000, "Of people, for the intervals."),
}
_LISTS = {
    "far": (["1e-1", "1e-2", "1e-3"], "FARs at which VAL is reported."),
    "baselines": (list(BASELINES), "Baselines beside the model; empty for none."),
}


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds them."""
    model_loading.define_flag(flag_values)
    views.define_flags(flag_values)
    holdout.define_flags(flag_values)
    for name, (default, text) in _TEXTS.items():
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    for name, text in _SWITCHES.items():
        flags.DEFINE_boolean(name, False, text, flag_values=flag_values)
    for name, (default, text) in _COUNTS.items():
        flags.DEFINE_integer(name, default, text, flag_values=flag_values)
    for name, (default, text) in _LISTS.items():
        flags.DEFINE_list(name, default, text, flag_values=flag_values)
    flags.DEFINE_enum(
        "set_rule",
        MEAN_SIMILARITY,
        (MEAN_SIMILARITY, MEAN_EMBEDDING),
        "How the frames of two videos become one distance in ytf.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "train",
        [],
        f"A set that the model was trained on, to look for the test's people in: {SETS}. Repeat it "
        "for more.",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "train_crop", 1.0, "The same as --crop, of pictures in --train.", flag_values=flag_values
    )


def check_flags(options: flags.FlagValues) -> None:
    """Raises app.UsageError where flags do not fit each other."""
    kinds = (*protocols.KINDS, holdout.KIND)
    if not options["protocol"].value:
        raise app.UsageError("--protocol is needed.")
    if options["protocol"].value not in kinds:
        raise app.UsageError(
            f"--protocol must be one of {', '.join(kinds)}. "
            f"Received: {options['protocol'].value!r}."
        )
    holdout.check_flags(options)
    if options["protocol"].value != holdout.KIND and not options["pairs"].value:
        raise app.UsageError("--pairs is needed.")
    if unknown := set(options["baselines"].value) - set(BASELINES):
        raise app.UsageError(
            f"--baselines must be among {', '.join(BASELINES)}. "
            f"Received: {', '.join(sorted(unknown))}."
        )
    if not options["model"].value and not options["baselines"].value:
        raise app.UsageError("Nothing to score: give --model or --baselines.")
    if options["train"].value and not options["model"].value:
        raise app.UsageError("--train needs --model: baselines were not trained.")
    for name in ("witness", "different"):
        if options[name].value and not options["train"].value:
            raise app.UsageError(f"--{name} needs --train: the people to compare with.")
    if options["store"].value and not (options["model"].value and options["choose_on"].value):
        raise app.UsageError(
            "--store needs --model and --choose_on: thresholds are chosen on other people than "
            "those they are tested on."
        )


def report_options(options: flags.FlagValues) -> ReportOptions:
    """What is reported.

    Raises:
        ValueError: A flag is out of range.
    """
    few, num_resamples = options["allow_few"].value, options["num_resamples"].value
    return ReportOptions(views.numbers(options, "far"), few, num_resamples)
