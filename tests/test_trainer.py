"""Trainer: from crops to a model that loads, the same each time, and clear refusals."""

import json

import keras
import numpy as np
import pytest

import facezoo
from facezoo.data.augment import Augmentation
from facezoo.data.preprocessing import Preprocessing
from pipelines.artifacts import Examples
from pipelines.component import Channel, ComponentError, Context
from pipelines.components import trainer
from pipelines.components.trainer import MarginStage, Params, Trainer, TripletStage
from tests.checks import component as checks
from tests.hues import write_examples

SMALL = Params(
    backbone="mobilefacenet",
    embedding_dim=4,
    batch_size=4,
    images_per_identity=2,
    augmentation=Augmentation(flip=False),
    margin=MarginStage(epochs=1, learning_rate=1e-3),
    triplet=TripletStage(epochs=1, learning_rate=1e-3),
)


class Steps:
    """Stands for the progress bar."""

    def __init__(self):
        self.total, self.done = 0, 0

    def __call__(self, total, title):
        self.total = total
        return self

    def __enter__(self):
        return self.advance

    def __exit__(self, *_error):
        return None

    def advance(self, number):
        self.done += number


@pytest.fixture
def examples(tmp_path):
    """Three people with two crops each, as the train split."""
    made = write_examples(tmp_path / "crops", [2, 2, 2], shards=1)
    made.split_dir("eval").rename(made.split_dir("train"))
    made.splits = ["train"]
    return made


def test_crop_size_and_an_empty_split(examples, tmp_path):
    assert trainer.crop_size(examples) == (20, 16)
    with pytest.raises(ComponentError, match="is empty: there is nothing to train on"):
        trainer.crop_size(Examples(tmp_path))


def test_a_batch_larger_than_the_data_is_refused(examples):
    params = Params(batch_size=40, images_per_identity=4)
    with pytest.raises(ComponentError, match="cannot make batches of 40: .*train.batch_size"):
        trainer.make_batches(examples, params, Preprocessing(20, 16))


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="multiple of images_per_identity"):
        Params(batch_size=9, images_per_identity=2)


@pytest.mark.parametrize(("head", "margin"), [("cosface", 0.2), ("normface", None)])
def test_the_head_gets_the_arguments_it_has(head, margin):
    params = Params(backbone="mobilefacenet", margin=MarginStage(1, 1e-3, head=head))
    model = trainer.make_model(params, Preprocessing(16, 16), num_classes=7)
    assert (model.head.num_classes, model.head.scale) == (7, 16.0)
    assert getattr(model.head, "margin", None) == margin


def test_the_stages_are_a_margin_head_and_then_triplets():
    margin, triplet = trainer.make_stages(SMALL)
    assert isinstance(margin.loss, keras.losses.SparseCategoricalCrossentropy)
    assert isinstance(triplet.loss, facezoo.TripletSemiHardLoss)
    assert triplet.loss.distance_metric == "squared-L2" and triplet.loss.margin == 0.2


@pytest.mark.slow
def test_a_trained_model_loads_and_the_same_crops_give_the_same_bytes(examples, tmp_path):
    def train(name):
        component = Trainer(SMALL, transformed_examples=Channel(None, "examples"))
        outputs = {key: kind(tmp_path / name / key) for key, kind in component.OUTPUTS.items()}
        for output in outputs.values():
            output.uri.mkdir(parents=True)
        steps = Steps()
        context = Context(serving_dir=tmp_path / "serving", progress=steps)
        counts = component.run({"transformed_examples": examples}, outputs, context)
        assert steps.done == steps.total == counts["steps"] == 4
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
