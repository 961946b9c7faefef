"""Trainer: face crops to a trained model, a margin head first and triplets after it."""

import dataclasses
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keras

from facezoo import models, registry, serving, training
from facezoo.data import schema
from facezoo.data.augment import Augmentation
from facezoo.data.dataset import TrainingBatches
from facezoo.data.examples import parse_example
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.records import read_records
from facezoo.losses import TripletSemiHardLoss
from facezoo.training import Schedule, Stage
from pipelines.artifacts import Artifact, Examples, Model, ModelRun
from pipelines.component import Component, ComponentError, Context, Counts
from pipelines.json_files import write_json


@dataclass(frozen=True)
class MarginStage(Schedule):
    """First stage: cross-entropy on the logits of a margin head.

    Args:
        head: Name of the head.
        margin: The head's margin, in the head's unit, if it has one.
        scale: Factor in front of the cosine.
    """

    head: str = "cosface"
    margin: float = 0.2
    scale: float = 16.0


@dataclass(frozen=True)
class TripletStage(Schedule):
    """Second stage: `TripletSemiHardLoss`.

    Args:
        margin: In units of `distance_metric`.
        distance_metric: FaceNet's is `"squared-L2"`.
    """

    margin: float = 0.2
    distance_metric: str = "squared-L2"


@dataclass(frozen=True)
class Params:
    """Parameters of `Trainer`.

    Args:
        backbone: Variant of the zoo; it is built at the size of the crops.
        embedding_dim: Length of the embedding.
        embedding_pooling: See `EmbeddingOutput`; "" for what the backbone was published with.
        embedding_batch_norm: Whether batch normalisation follows the embedding's dense layer.
        standardization: See `Preprocessing`.
        batch_size: Images per batch, P x K.
        images_per_identity: K.
        augmentation: Random changes to the images.
        margin: First stage.
        triplet: Second stage.
        seed: Decides initial weights, batches and augmentation.

    Raises:
        ValueError: `batch_size` is no multiple of `images_per_identity`.
    """

    backbone: str = "nn4_small2"
    embedding_dim: int = 128
    embedding_pooling: str = ""
    embedding_batch_norm: bool = True
    standardization: str = "per_image"
    batch_size: int = 40
    images_per_identity: int = 4
    augmentation: Augmentation = Augmentation()
    margin: MarginStage = field(default_factory=lambda: MarginStage(20, 1e-3))
    triplet: TripletStage = field(default_factory=lambda: TripletStage(4, 1e-4))
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size % self.images_per_identity:
            raise ValueError(
                "batch_size must be a multiple of images_per_identity. "
                f"Received: {self.batch_size} and {self.images_per_identity}."
            )


def crop_size(examples: Examples) -> tuple[int, int]:
    """Returns (height, width) of the face crops, pixels.

    Raises:
        ComponentError: The train split is empty.
    """
    for shard in examples.shards(schema.TRAIN):
        for serialized in read_records(shard):
            record = parse_example(serialized)
            return record.height, record.width
    raise ComponentError(
        f"The train split of {examples.uri} is empty: there is nothing to train on. "
        "Look at the quarantine lists of ExampleGen and Transform."
    )


def make_batches(
    examples: Examples, params: Params, preprocessing: Preprocessing
) -> TrainingBatches:
    """Returns the training batches of the train split."""
    try:
        return TrainingBatches(
            examples.shards(schema.TRAIN),
            preprocessing,
            params.augmentation,
            num_identities=params.batch_size // params.images_per_identity,
            images_per_identity=params.images_per_identity,
            seed=params.seed,
        )
    except ValueError as error:
        raise ComponentError(
            f"Trainer cannot make batches of {params.batch_size}: {error} "
            "(--set train.batch_size=.. --set train.images_per_identity=..)"
        ) from error


def make_model(params: Params, preprocessing: Preprocessing, num_classes: int) -> models.FaceModel:
    """Returns the untrained model."""
    stage = params.margin
    arguments = {"num_classes": num_classes, "scale": stage.scale, "margin": stage.margin}
    # A head such as normface has no margin to set.
    known = inspect.signature(registry.get("head", stage.head)[0]).parameters
    arguments = {name: value for name, value in arguments.items() if name in known}
    head = models.create_head(stage.head, **arguments)
    return models.create_model(
        params.backbone,
        params.embedding_dim,
        head=head,
        preprocessing=preprocessing,
        embedding={
            "pooling": params.embedding_pooling or None,
            "batch_norm": params.embedding_batch_norm,
        },
        image_shape=preprocessing.image_shape,
    )


def make_stages(params: Params) -> list[Stage]:
    """Returns the two stages with their losses."""
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    triplet = TripletSemiHardLoss(
        margin=params.triplet.margin, distance_metric=params.triplet.distance_metric
    )
    return [
        Stage("margin", cross_entropy, params.margin),
        Stage("triplet", triplet, params.triplet),
    ]


class Trainer(Component):
    """Trains a FaceModel on the train split's face crops, at their size.

    Inputs:
        transformed_examples: Face crops, all of one size.

    Outputs:
        model: `model.keras` and `preset.json`, with the head; `Format-Serving/`, the SavedModel.
        model_run: `history.json`, one entry per epoch; TensorBoard logs in `train/`.

    Params:
        See `Params`.

    Guarantees:
        Deterministic from `seed` on one kind of machine. A run that was cut off starts anew. A
        damaged record, and data too small for a batch, stop it.
    """

    INPUTS = {"transformed_examples": Examples}
    OUTPUTS = {"model": Model, "model_run": ModelRun}
    Params = Params

    def run(
        self, inputs: Mapping[str, Artifact], outputs: Mapping[str, Artifact], context: Context
    ) -> Counts:
        params, examples = self.params, inputs["transformed_examples"]
        training.make_deterministic(params.seed)
        preprocessing = Preprocessing(*crop_size(examples), params.standardization)
        batches = make_batches(examples, params, preprocessing)
        model = make_model(params, preprocessing, num_classes=int(batches.label.max()) + 1)
        steps = training.steps_per_epoch(batches) * (params.margin.epochs + params.triplet.epochs)
        log_dir = outputs["model_run"].uri / "train"
        with context.progress(steps, self.id) as advance:
            history = training.train(model, batches, make_stages(params), str(log_dir), advance)
        _write(model, history, outputs)
        return {
            "steps": steps,
            "images": steps * batches.batch_size,
            "people": len(set(batches.label.tolist())),
            "parameters": model.count_params(),
            "loss": round(float(history[-1]["loss"]), 4) if history else math.nan,
        }


def _write(model: models.FaceModel, history: list[dict], outputs: Mapping[str, Artifact]) -> None:
    # Without the optimizer's state, which a new stage would not use.
    final = models.FaceModel(
        model.backbone, model.embedding, model.head, model.preprocessing, name=model.name
    )
    folder: Path = outputs["model"].uri
    final.save_preset(folder)
    serving.export_saved_model(final, folder / "Format-Serving")
    outputs["model"].properties["preprocessing"] = dataclasses.asdict(final.preprocessing)
    write_json(outputs["model_run"].uri / "history.json", history)
