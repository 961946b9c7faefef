"""Trainer: from crops to a model that loads, the same each time, and clear refusals."""

import dataclasses
import json
import types

import keras
import numpy as np
import pytest

import facezoo
from facezoo.data.augment import Augmentation
from facezoo.data.preprocessing import Preprocessing
from facezoo.training import MarginStage, Recipe, SoftmaxStage, TripletStage
from facezoo.training.job import Job
from facezoo.training.recipe import make_model, make_stages
from pipelines.artifacts import Examples
from pipelines.component import Channel, ComponentError, Context
from pipelines.components import trainer
from pipelines.components.trainer import Trainer
from tests.checks import component as checks
from tests.hues import write_examples

SMALL = Recipe(
    backbone="mobilefacenet",
    embedding_dim=4,
    batch_size=4,
    images_per_identity=2,
    augmentation=Augmentation(flip=False),
    margin=MarginStage(epochs=1, learning_rate=1e-3),
    triplet=TripletStage(epochs=1, learning_rate=1e-3),
)


@pytest.fixture
def examples(tmp_path):
    """Three people with two crops each, as the train split."""
    made = write_examples(tmp_path / "crops", [2, 2, 2], shards=1)
    made.split_dir("eval").rename(made.split_dir("train"))
    made.splits = ["train"]
    return made


def few_people(number):
    """Stands for batches."""
    return types.SimpleNamespace(preprocessing=Preprocessing(16, 16), num_classes=number)


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(ComponentError, match="is empty: there is nothing to train on"):
        trainer.make_job(SMALL, Examples(tmp_path), tmp_path / "work")


def test_a_batch_larger_than_the_data_is_refused(examples, tmp_path):
    recipe = Recipe(batch_size=40, images_per_identity=4)
    job = trainer.make_job(recipe, examples, tmp_path / "work")
    with pytest.raises(ComponentError, match="cannot make batches of 40: .*train.batch_size"):
        trainer.make_batches(job)


def test_a_job_survives_a_round_trip(examples, tmp_path):
    job = trainer.make_job(SMALL, examples, tmp_path / "work")
    job.save(tmp_path / "a" / "job.json")
    assert Job.load(tmp_path / "a" / "job.json") == job
    (tmp_path / "broken.json").write_text('{"recipe": {"colour": 3}}')
    with pytest.raises(ValueError, match="is no job that .* wrote: A recipe has no colour"):
        Job.load(tmp_path / "broken.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 9, "images_per_identity": 2}, "multiple of images_per_identity"),
        ({"num_negatives": 3}, "multiple of images_per_identity"),
        ({"precision": "float8"}, "precision must be one of float32"),
    ],
)
def test_impossible_recipes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**change)


@pytest.mark.parametrize(("head", "margin"), [("cosface", 0.2), ("normface", None)])
def test_the_head_gets_the_arguments_it_has(head, margin):
    recipe = Recipe(backbone="mobilefacenet", margin=MarginStage(1, 1e-3, head=head))
    model = make_model(recipe, few_people(7))
    assert (model.head.num_classes, model.head.scale) == (7, 16.0)
    assert getattr(model.head, "margin", None) == margin


def test_the_stages_are_softmax_a_margin_head_and_then_triplets():
    recipe = dataclasses.replace(SMALL, softmax=SoftmaxStage(1, 1e-3))
    model = make_model(recipe, few_people(3))
    softmax, margin, triplet, *_ = make_stages(recipe, model, None)
    assert type(softmax.model.head).__name__ == "Softmax"
    assert softmax.model.backbone is model.backbone
    assert isinstance(margin.loss, keras.losses.SparseCategoricalCrossentropy)
    assert isinstance(triplet.loss, facezoo.TripletSemiHardLoss)
    assert triplet.loss.distance_metric == "squared-L2" and triplet.loss.margin == 0.2
    assert [stage.name for stage in make_stages(SMALL, model, None)][:2] == ["margin", "triplet"]


def test_images_are_counted_by_stage():
    history = [
        {"stage": "margin", "step": 5},
        {"stage": "margin", "step": 10},
        {"stage": "offline", "step": 12},
    ]
    batches = types.SimpleNamespace(batch_size=4)
    expected = 10 * 4 + 2 * SMALL.offline.batch_size
    assert trainer.count_images(history, SMALL, batches) == expected
    assert trainer.count_images([], SMALL, batches) == 0


@pytest.mark.slow
def test_a_trained_model_loads_and_the_same_crops_give_the_same_bytes(examples, tmp_path):
    def train(name):
        component = Trainer(SMALL, transformed_examples=Channel(None, "examples"))
        outputs = {key: kind(tmp_path / name / key) for key, kind in component.OUTPUTS.items()}
        for output in outputs.values():
            output.uri.mkdir(parents=True)
        context = Context(serving_dir=tmp_path / "serving", work_dir=tmp_path / name / "work")
        counts = component.run({"transformed_examples": examples}, outputs, context)
        assert counts["steps"] == 4
        return outputs

    before = checks.files(examples.uri)
    first, second = train("first"), train("second")
    assert checks.files(examples.uri) == before
    assert checks.files(first["model"].uri) == checks.files(second["model"].uri)
    model = keras.models.load_model(first["model"].uri / "model.keras")
    assert model.preprocessing == Preprocessing(20, 16, "per_image")
    embedding = model(np.zeros((1, 20, 16, 3), np.float32))["embedding"]
    assert embedding.shape == (1, 4)
    history = json.loads((first["model_run"].uri / "history.json").read_text())
    assert [entry["stage"] for entry in history] == ["margin", "triplet"]
    assert (first["model"].uri / "Format-Serving" / "saved_model.pb").is_file()
    assert list((first["model_run"].uri / "train").glob("events.out.tfevents.*"))
