"""The flags of `evaluate`: what is scored, on what, and how."""

from absl import app, flags

from facezoo import protocols
from facezoo.cli import holdout, model_loading, views
from facezoo.cli.people import DIFFERENT, SETS
from facezoo.evaluation.baselines import BASELINES
from facezoo.evaluation.verification_report import ReportOptions
from facezoo.protocols import MEAN_EMBEDDING, MEAN_SIMILARITY


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds them."""
    model_loading.define_flag(flag_values)
    views.define_flags(flag_values)
    holdout.define_flags(flag_values)
    texts = {
        "protocol": "Kind of the list of pairs.",
        "pairs": "The list of pairs.",
        "images": "The folder that the names in the list are relative to; not for packs. In "
        f"{holdout.KIND} {holdout.PEOPLE}.",
        "choose_on": "A second list, of other people: thresholds are chosen on it.",
        "out": "Folder for the report; made if it is not there.",
    }
    for name, text in texts.items():
        default = "evaluation" if name == "out" else None
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_list(
        "far", ["1e-1", "1e-2", "1e-3"], "FARs at which VAL is reported.", flag_values=flag_values
    )
    flags.DEFINE_boolean(
        "allow_few",
        False,
        "Report VAL also where fewer than ten false accepts would stand behind the FAR.",
        flag_values=flag_values,
    )
    flags.DEFINE_list(
        "baselines",
        list(BASELINES),
        "Baselines beside the model; empty for none.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "num_frames", 100, "Of a video in ytf; 0 for all.", flag_values=flag_values
    )
    flags.DEFINE_enum(
        "set_rule",
        MEAN_SIMILARITY,
        (MEAN_SIMILARITY, MEAN_EMBEDDING),
        "How the frames of two videos become one distance in ytf.",
        flag_values=flag_values,
    )
    flags.DEFINE_boolean(
        "robustness",
        False,
        "Score spoiled pictures too: JPEG quality, size, blur, rotation, fewer numbers.",
        flag_values=flag_values,
    )
    flags.DEFINE_boolean(
        "store",
        False,
        "Put the thresholds into the model's preset.json; needs --choose_on.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer("batch_size", 64, "Views embedded at once.", flag_values=flag_values)
    flags.DEFINE_integer(
        "num_resamples", 1000, "Of people, for the intervals.", flag_values=flag_values
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
    flags.DEFINE_string(
        "witness",
        None,
        "The model that compares faces with those of --train; without it the one that is scored, "
        "which is a poor witness if it is weak, or was taught to tell these people apart.",
        flag_values=flag_values,
    )
    flags.DEFINE_string("different", None, DIFFERENT, flag_values=flag_values)
    flags.DEFINE_boolean(
        "allow_overlap",
        False,
        "Score the model on people of its training too, and stamp the report.",
        flag_values=flag_values,
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
