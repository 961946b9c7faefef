"""Trainer: face crops to a trained model, a margin head first and triplets after it."""

import dataclasses
import math
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facezoo import serving
from facezoo.data import schema
from facezoo.models import FaceModel
from facezoo.training import Recipe, create_distribution, has_cluster
from facezoo.training.crops import describe_crops
from facezoo.training.job import Job, open_batches, run_job
from facezoo.training.position import History
from facezoo.training.training_sets import Batches, TrainingSet
from pipelines.artifacts import Artifact, Examples, Model, ModelRun
from pipelines.component import Component, ComponentError, Context, Counts
from pipelines.fingerprints import file_digest
from pipelines.json_files import write_json

_JOB = "job.json"


def make_job(params: Recipe, examples: Examples, work_dir: Path) -> Job:
    """Returns the job of training on the train split.

    Raises:
        ComponentError: The train split is empty.
    """
    shards = examples.shards(schema.TRAIN)
    if not any(shard.stat().st_size for shard in shards):
        raise ComponentError(
            f"The train split of {examples.uri} is empty: there is nothing to train on. "
            "Look at the quarantine lists of ExampleGen and Transform."
        )
    training_set = TrainingSet(
        examples.uri.name,
        tuple(str(shard.absolute()) for shard in shards),
        str(examples.index_dir(schema.TRAIN).absolute()),
    )
    log_dir = work_dir / "train"
    return Job(params, (training_set,), str(work_dir.absolute()), str(log_dir.absolute()))


def make_batches(job: Job) -> Batches:
    """Returns the job's batches."""
    try:
        return open_batches(job)
    except ValueError as error:
        raise ComponentError(
            f"Trainer cannot make batches of {job.recipe.batch_size}: {error} "
            "(--set train.batch_size=.. --set train.images_per_identity=..)"
        ) from error


def count_images(history: History, recipe: Recipe, batches: Batches) -> int:
    """Returns how many images all steps saw together."""
    total = done = 0
    for entry in history:
        is_offline = entry["stage"] == "offline"
        size = recipe.offline.batch_size if is_offline else batches.batch_size
        total, done = total + (entry["step"] - done) * size, entry["step"]
    return total


class Trainer(Component):
    """Trains a FaceModel on the train split's face crops, at their size.

    Inputs:
        transformed_examples: Face crops, all of one size. All people are classes of one head,
            unless `concat` gives each data set a head of its own.

    Outputs:
        model: `model.keras` and `preset.json`, with the head and what its crops look like;
            `Format-Serving/`, the SavedModel.
        model_run: `history.json`, one entry per epoch; TensorBoard logs in `train/`.

    Params:
        See `Recipe`.

    Guarantees:
        Deterministic from `seed` on one kind of machine. A run that was cut off goes on from its
        newest checkpoint and ends with the same weights. A damaged record, and data too small for
        a batch, stop it.
    """

    INPUTS = {"transformed_examples": Examples}
    OUTPUTS = {"model": Model, "model_run": ModelRun}
    Params = Recipe

    def external_fingerprint(self, context: Context) -> str:
        """Digest of the list of duplicates, if there is one."""
        del context
        if not self.params.duplicates:
            return ""
        path = Path(self.params.duplicates)
        if not path.is_file():
            raise ComponentError(f"The list of duplicates is not there: {path} is no file.")
        return file_digest(path)

    def run(
        self, inputs: Mapping[str, Artifact], outputs: Mapping[str, Artifact], context: Context
    ) -> Counts:
        work_dir = Path(context.work_dir)
        job = make_job(self.params, inputs["transformed_examples"], work_dir)
        job.save(work_dir / _JOB)
        if has_cluster():
            print(
                "Trainer waits for the other machines of TF_CONFIG. Start on each of them: "
                f"python -m facezoo train --job={work_dir / _JOB}",
                file=sys.stderr,
            )
        # Several machines meet before TensorFlow has computed anything.
        distribution = create_distribution(self.params.strategy)
        batches = make_batches(job)
        model, history = run_job(job, batches, distribution)
        _write(model, history, describe_crops(batches), outputs)
        shutil.copytree(job.log_dir, outputs["model_run"].uri / "train")
        return {
            "steps": history[-1]["step"] if history else 0,
            "images": count_images(history, self.params, batches),
            "people": len(np.unique(batches.label)),
            "parameters": model.count_params(),
            "loss": round(float(history[-1]["loss"]), 4) if history else math.nan,
        }


def _write(
    model: FaceModel,
    history: History,
    crop_statistics: Mapping[str, Any] | None,
    outputs: Mapping[str, Artifact],
) -> None:
    folder: Path = outputs["model"].uri
    model.save_preset(folder, crop_statistics=crop_statistics)
    serving.export_saved_model(model, folder / "Format-Serving")
    outputs["model"].properties["preprocessing"] = dataclasses.asdict(model.preprocessing)
    write_json(outputs["model_run"].uri / "history.json", history)
