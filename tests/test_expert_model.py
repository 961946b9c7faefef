"""The hard-example expert: what is added to what, and that the easy network stays as it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import facezoo
from facezoo import ExpertModel, create_head
from facezoo.layers import NormGate
from tests.small_model import OneByOne, images, small_model

LABEL = np.array([0, 1, 2, 3, 0, 1], "int32")
IMAGE = images(6)


@pytest.fixture
def easy():
    """With batch normalisation, whose averages must not move, and a head that is not used."""
    return small_model(create_head("arcface", num_classes=9), pooling="bn_flatten")


def made(easy, **options):
    second = small_model(create_head("cosface", num_classes=4, scale=8.0))
    parts = (second.backbone, second.embedding, second.head)
    return second, ExpertModel(*parts, easy=easy, **options)


def compiled(model):
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), cross_entropy)
    return model


def features(model):
    output = model(IMAGE)
    return output["embedding"].numpy() * output["norm"].numpy()[:, None]


def values(model):
    return [weight.numpy().copy() for weight in model.weights]


def between(model):
    norm = np.sort(model(IMAGE)["norm"].numpy())
    return float(norm[2:4].mean())


def test_sure_features_of_unit_length_are_added(easy):
    second, expert = made(easy, easy_gate=NormGate(between(easy)))
    output = easy(IMAGE)
    is_sure = output["norm"].numpy() >= between(easy)
    assert is_sure.sum() == 3
    wanted = features(second) + np.where(is_sure[:, None], output["embedding"], 0.0)
    np.testing.assert_allclose(features(expert), wanted, rtol=1e-5, atol=1e-5)
    found = expert(IMAGE)
    np.testing.assert_allclose(np.linalg.norm(found["embedding"], axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found["norm"], np.linalg.norm(wanted, axis=1), rtol=1e-5)
    assert set(found) == {"embedding", "norm"}


def test_where_nothing_is_sure_the_second_stands_alone(easy):
    second, expert = made(easy, easy_gate=NormGate(1e9))
    np.testing.assert_allclose(features(expert), features(second), rtol=1e-5, atol=1e-6)


def test_training_moves_the_second_network_and_its_head_only(easy):
    before = values(easy)
    second, expert = made(easy, easy_gate=NormGate("running_mean"))
    learning = values(second)
    compiled(expert).fit(IMAGE, LABEL, epochs=2, verbose=0)
    for found, wanted in zip(values(easy), before, strict=True):
        np.testing.assert_array_equal(found, wanted)
    for found, start in zip(values(second), learning, strict=True):
        assert np.any(found != start)
    assert float(expert.easy_gate.running_threshold) > 0.0
    assert len(expert.trainable_weights) == len(second.trainable_weights)


def test_no_gradient_flows_through_the_easy_network(easy):
    second, expert = made(easy, easy_gate=NormGate(0.0))
    for weight in second.backbone.weights:
        weight.assign(0.0 * weight)
    image = tf.constant(IMAGE)
    with tf.GradientTape() as tape:
        tape.watch(image)
        total = tf.reduce_sum(expert(image)["embedding"])
    gradient = tape.gradient(total, image, unconnected_gradients="zero").numpy()
    np.testing.assert_array_equal(gradient, 0.0 * IMAGE)


def test_saved_and_loaded_it_is_still_frozen(easy, tmp_path):
    _, expert = made(easy, easy_gate=NormGate("percentile", 30.0), gate=NormGate(0.1))
    compiled(expert).fit(IMAGE, LABEL, verbose=0)
    expert.save_preset(tmp_path)
    again = facezoo.FaceModel.from_preset(tmp_path)
    assert type(again) is ExpertModel
    np.testing.assert_array_equal(again(IMAGE)["embedding"], expert(IMAGE)["embedding"])
    assert (again.easy_gate.percentile, again.gate.threshold) == (30.0, 0.1)
    assert not any(weight.trainable for weight in again.easy.weights)
    before = values(again.easy)
    again.fit(IMAGE, LABEL, verbose=0)
    for found, wanted in zip(values(again.easy), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_second_network_that_fits_is_made(easy):
    head = create_head("cosface", num_classes=4)
    expert = ExpertModel.of(easy, OneByOne(), head, NormGate(3.0))
    assert expert.easy is easy and expert.head is head and expert.easy_gate.threshold == 3.0
    assert expert.embedding.embedding_dim == easy.embedding.embedding_dim
    assert expert.backbone is not easy.backbone
    assert ExpertModel.of(easy, OneByOne()).easy_gate.threshold == 5.0


def test_networks_that_do_not_fit_are_refused(easy):
    wide = facezoo.create_model(OneByOne(), embedding_dim=7)
    with pytest.raises(ValueError, match="easy must take .* 7 numbers.* Received: .* 4 numbers"):
        ExpertModel(wide.backbone, wide.embedding, easy=easy)


def test_its_loss_may_leave_short_sums_out(easy):
    _, expert = made(easy, gate=NormGate(1e9))
    assert compiled(expert).evaluate(IMAGE, LABEL, verbose=0, return_dict=True)["loss"] == 0.0
