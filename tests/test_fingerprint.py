"""A fingerprint is of the weights that make the embedding, and of nothing else."""

import doctest

import keras
import numpy as np
import pytest

import facezoo
from facezoo.models import fingerprint, model_fingerprint, weights_fingerprint
from facezoo.serving import ServedModel, export_saved_model
from tests.small_model import small_model


@pytest.fixture(scope="module")
def model():
    head = facezoo.create_head("cosface", num_classes=3)
    return small_model(head)


def test_it_outlives_saving_and_loading(model, tmp_path):
    model.save(tmp_path / "model.keras")
    found = keras.models.load_model(tmp_path / "model.keras")
    assert model_fingerprint(found) == model_fingerprint(model)


def test_a_served_model_has_that_of_the_model_it_was_made_of(model, tmp_path):
    export_saved_model(model, tmp_path)
    assert ServedModel(tmp_path).fingerprint() == model_fingerprint(model)


def test_the_head_does_not_count_and_the_embedding_does(model):
    before = model_fingerprint(model)
    for part, is_other in ((model.head, False), (model.embedding, True), (model.backbone, True)):
        weight = part.trainable_weights[0]
        value = weight.numpy().copy()
        weight.assign(value + 1e-6)
        assert (model_fingerprint(model) != before) is is_other
        weight.assign(value)
    assert model_fingerprint(model) == before


def test_order_names_and_whole_numbers_do_not_count():
    one, other = np.ones([2, 3], "float32"), np.zeros([4], "float32")
    found = weights_fingerprint([one, other])
    assert weights_fingerprint([other, one]) == found
    assert weights_fingerprint([one, other, np.arange(3), np.array(b"text")]) == found


@pytest.mark.parametrize(
    "weights",
    [
        [np.ones([3, 2], "float32"), np.zeros([4], "float32")],
        [np.ones([2, 3], "float64"), np.zeros([4], "float32")],
        [np.ones([2, 3], "float32")],
        [np.ones([2, 3], "float32"), np.zeros([4], "float32"), np.zeros([4], "float32")],
    ],
)
def test_shape_type_and_number_count(weights):
    found = weights_fingerprint([np.ones([2, 3], "float32"), np.zeros([4], "float32")])
    assert weights_fingerprint(weights) != found


def test_examples():
    assert doctest.testmod(fingerprint).failed == 0
