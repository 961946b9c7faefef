"""Scores a model on a public benchmark: report.json, report.html, TensorBoard, thresholds."""

from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from facezoo import presets, protocols
from facezoo.cli import evaluation_files, evaluation_flags, holdout, leak_gate, model_loading
from facezoo.cli.evaluated_systems import load_systems
from facezoo.cli.evaluation_flags import check_flags, define_flags
from facezoo.cli.views import test_time
from facezoo.data.test_time import TestTime
from facezoo.evaluation.benchmark import Benchmark
from facezoo.evaluation.evaluate import evaluate

USAGE = (
    "evaluate [--model=PATH] --protocol=KIND [--pairs=FILE] [--images=DIR] [--choose_on=FILE] "
    "[--out=DIR]"
)
HELP = f"""Scores pairs of faces by a model, and beside it by baselines that learned nothing;
without --model by these alone.

Kinds of --protocol: {", ".join((*protocols.KINDS, holdout.KIND))}.
LFW View 1, which is for choosing between models:
  python -m facezoo evaluate --model=PRESET_DIR --protocol=lfw --images=lfw --crop=0.6 \\
      --pairs=pairsDevTest.txt --choose_on=pairsDevTrain.txt
LFW View 2, for the number that is published, once:
  python -m facezoo evaluate --model=PRESET_DIR --protocol=lfw --images=lfw --pairs=pairs.txt
{holdout.HELP}

Writes into --out: report.json, report.html (one page, open it in a browser), tensorboard/, and with
--choose_on thresholds.json, which --store puts into the model's preset.
A missing image, a wrong count or a threshold chosen on the people it is tested on is an error."""

__all__ = ["HELP", "USAGE", "define_flags", "run"]


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Evaluates.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read or written.
        ValueError: The model, the list of pairs or an image cannot be used.
    """
    if arguments:
        raise app.UsageError(f"evaluate takes flags only. Received: {' '.join(arguments)}.")
    check_flags(options)
    view, report_options = test_time(options), evaluation_flags.report_options(options)
    if options["protocol"].value == holdout.KIND:
        return holdout.run(options, view, report_options)
    # Everything that can be wrong with the question is found before the model is loaded.
    tested = _benchmark(options["pairs"].value, view, options)
    chosen_on = None
    if options["choose_on"].value:
        chosen_on = _benchmark(options["choose_on"].value, view, options)
    model, systems = load_systems(options)
    path = options["model"].value
    preset = model_loading.preset_folder(path) if options["store"].value else None
    people = leak_gate.people_of(tested)
    overlap, stamp = leak_gate.look(model, tested.protocol.name, people, options)
    robustness = options["robustness"].value
    evaluation = evaluate(systems, tested, chosen_on, report_options, robustness)
    evaluation.report.update(overlap=overlap, contaminated=stamp)
    if preset is not None:
        presets.save(preset, {**presets.load(preset), "thresholds": evaluation.thresholds})
    out = Path(options["out"].value)
    evaluation_files.write(out, evaluation, tested.pictures)
    evaluation_files.show(out, evaluation.report, options["json"].value)
    return 0


def _benchmark(pairs: str, view: TestTime, options: flags.FlagValues) -> Benchmark:
    kind, folder = options["protocol"].value, options["images"].value
    if not folder and kind != "pack":
        raise app.UsageError("--images is needed: the folder that the list's names are in.")
    if kind != "ytf":
        protocol, images = protocols.read(kind, pairs)
    else:
        frames = {"frames": Path(folder), "num_frames": options["num_frames"].value}
        rule = {"set_rule": options["set_rule"].value}
        protocol, images = protocols.read(kind, pairs, **frames, **rule)
    if images is None:
        images = protocols.open_images(folder)
    return Benchmark(protocol, images, view, options["batch_size"].value)
