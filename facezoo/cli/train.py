"""Trains a model on TFRecord shards, alone or together with other machines."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from facezoo.data import schema
from facezoo.overrides import override
from facezoo.training import STRATEGIES, Recipe, create_distribution
from facezoo.training.crops import describe_crops
from facezoo.training.job import Job, Trained, open_batches, run_job
from facezoo.training.recipe import STAGES
from facezoo.training.training_sets import Batches, TrainingSet

USAGE = (
    "train --examples=DIR [--examples=DIR ..] --out=DIR [--set KEY=VALUE ..] [--strategy=auto]"
    " | train --job=FILE"
)
HELP = """Trains from scratch and writes a preset folder (model.keras, preset.json), history.json
and TensorBoard logs. The shards are those of the pipeline's Transform, or any TFRecords with its
keys. A training that was killed goes on from its newest checkpoint when the same command comes
again.

Several data sets, each with its --examples, train one network together: every set has a head, a
batch of batch_size images and a loss weight of its own (--set loss_weights=0.7,0.3), so that the
sets may share people without anybody knowing. An accuracy for each set stands in history.json and
TensorBoard. Nobody is told apart from people of another set unless --set cross_set_negatives=true;
--set duplicates=FILE excepts pairs from that: two people as set/name in a line.

Several machines: give each the same command and folders, and a TF_CONFIG that names them all. To
join the Trainer of `python -m pipelines.run` on another machine, use the --job that it prints.
KERAS_BACKEND=jax trains on one device without TensorFlow."""

_TRAIN_SPLIT = f"Split-{schema.TRAIN}"


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--examples`, `--out`, `--set`, `--strategy` and `--job`."""
    flags.DEFINE_multi_string(
        "examples",
        [],
        f"A folder of TFRecord shards, or one with {_TRAIN_SPLIT}/ inside; once for each data set.",
        flag_values=flag_values,
    )
    flags.DEFINE_string("out", None, "The folder to write.", flag_values=flag_values)
    flags.DEFINE_multi_string(
        "set",
        [],
        "Change one value of the recipe, such as batch_size=64 or margin.epochs=10.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "strategy",
        "auto",
        STRATEGIES,
        "Devices: one, all GPUs of this machine, or the machines of TF_CONFIG.",
        flag_values=flag_values,
    )
    flags.DEFINE_string("job", None, "The job of a Trainer to join.", flag_values=flag_values)


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Trains.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read or written.
        ValueError: The data, the recipe or the cluster do not allow it.
    """
    examples, out, job_path = (options[name].value for name in ("examples", "out", "job"))
    if arguments:
        raise app.UsageError(f"train takes flags only. Received: {' '.join(arguments)}.")
    if bool(job_path) == bool(examples or out) or bool(examples) != bool(out):
        raise app.UsageError("train needs --examples=DIR and --out=DIR, or --job=FILE alone.")
    job = Job.load(Path(job_path)) if job_path else _make_job(examples, Path(out), options)
    # Several machines meet before TensorFlow has computed anything.
    distribution = create_distribution(job.recipe.strategy)
    batches = open_batches(job)
    trained = run_job(job, batches, distribution)
    if out and distribution.is_chief:
        _write(trained, batches, Path(out), job)
    last = {key: trained.history[-1][key] for key in ("stage", "step", "loss")}
    if options["json"].value:
        print(json.dumps({**last, "out": out}))
    else:
        print(f"{last['step']} steps, loss {last['loss']:.4f}" + (f": {out}" if out else ""))
    return 0


def _make_job(examples: Sequence[str], out: Path, options: flags.FlagValues) -> Job:
    recipe = Recipe()
    for assignment in [*options["set"].value, f"strategy={options['strategy'].value}"]:
        recipe = override(recipe, assignment)
    if not any(getattr(recipe, name).epochs for name in STAGES):
        raise ValueError(
            "All stages have 0 epochs: there is nothing to train. Use --set margin.epochs=20."
        )
    folders = [Path(one).absolute() for one in examples]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ValueError(
            "A data set that comes twice would teach that everybody is somebody else. Expected: "
            f"different folders. Received: {', '.join(examples)}."
        )
    work_dir, log_dir = ((out / name).absolute() for name in (".work", "train"))
    return Job(recipe, tuple(map(_training_set, folders)), str(work_dir), str(log_dir))


def _training_set(examples: Path) -> TrainingSet:
    split = examples / _TRAIN_SPLIT
    folder = split if split.is_dir() else examples
    shards = sorted(path for path in folder.glob("*tfrecord*") if path.is_file())
    if not shards:
        raise ValueError(
            f"No shards in {folder}. Expected: files named *tfrecord*, such as the folder "
            "runs/default/Transform/transformed_examples/1 of a pipeline run holds."
        )
    index_dir = examples / f"Index-{schema.TRAIN}"
    return TrainingSet(examples.name, tuple(map(str, shards)), str(index_dir))


def _write(trained: Trained, batches: Batches, out: Path, job: Job) -> None:
    trained.model.save_preset(out, crop_statistics=describe_crops(batches))
    (out / "history.json").write_text(json.dumps(trained.history, indent=2), encoding="utf-8")
    shutil.rmtree(job.work_dir)
