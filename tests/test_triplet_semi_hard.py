"""What is particular to TripletSemiHardLoss: tensorflow-addons' corner cases, its own options."""

import doctest

import keras
import numpy as np
import pytest
import tensorflow as tf

from facezoo.losses import TripletSemiHardLoss, triplet_semi_hard, triplet_semi_hard_loss
from facezoo.ops import DISTANCES, pairwise_distance
from tests.oracles import points
from tests.oracles import triplet_semi_hard as oracle

LABEL, POINTS = points.LABEL, points.s1()


def test_examples_of_the_docstring():
    assert doctest.testmod(triplet_semi_hard).failed == 0


def test_defaults_are_tensorflow_addons():
    config = TripletSemiHardLoss().get_config()
    assert (config["margin"], config["distance_metric"]) == (1.0, "L2")
    # The example of its documentation: two images of one identity, no negative.
    assert float(TripletSemiHardLoss()([0, 0], [[0.0, 1.0], [1.0, 0.0]])) == pytest.approx(
        2.4142137, abs=1e-6
    )


@pytest.mark.parametrize("label", [np.arange(4), np.arange(1)])
def test_no_positive_pair_gives_0(label):
    assert float(TripletSemiHardLoss()(label, POINTS[: len(label)])) == 0.0


def test_collapse_is_exactly_the_margin():
    assert float(TripletSemiHardLoss(0.25)(LABEL, np.ones((12, 3)))) == 0.25


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize("policy", ["tfa", "skip"])
def test_pure_function_in_float64_equals_loops(metric, policy):
    # The last label is alone, and a second batch has a single identity.
    for label in (np.array([*LABEL[:-1], 9]), 0 * LABEL):
        config = {
            "margin": 0.3,
            "distance_metric": metric,
            "anchors_without_negatives": policy,
        }
        found = triplet_semi_hard_loss(tf.constant(label), tf.constant(POINTS), **config)
        expected = oracle.per_sample(label, POINTS, {**config, "mean_over": "all"})
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_anchors_without_negatives_can_be_skipped():
    assert float(TripletSemiHardLoss(anchors_without_negatives="skip")(0 * LABEL, POINTS)) == 0.0


def test_equal_points_have_gradient_0():
    embedding = tf.ones((6, 3))
    with tf.GradientTape() as tape:
        tape.watch(embedding)
        loss = TripletSemiHardLoss()(np.array([0, 0, 0, 1, 1, 1]), embedding)
    np.testing.assert_array_equal(tape.gradient(loss, embedding), np.zeros((6, 3)))


@keras.saving.register_keras_serializable("facezoo_tests")
def tenfold(embedding):
    return 10.0 * pairwise_distance("squared-L2")(embedding)


def test_registered_distance_is_saved_and_restored():
    loss = TripletSemiHardLoss(0.2, tenfold)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.distance_metric is tenfold
    expected = 10.0 * float(TripletSemiHardLoss(0.02, "squared-L2")(LABEL, POINTS))
    assert float(again(LABEL, POINTS)) == pytest.approx(expected, rel=1e-5)


def test_distance_that_is_not_registered_cannot_be_saved():
    with pytest.raises(ValueError, match="registered distance.*register_keras_serializable"):
        TripletSemiHardLoss(0.2, lambda embedding: embedding).get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin": -1.0}, "margin must be 0 or more"),
        ({"distance_metric": "euclid"}, "Unknown distance 'euclid'"),
        ({"anchors_without_negatives": "drop"}, "anchors_without_negatives must be one of"),
    ],
)
def test_bad_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        TripletSemiHardLoss(**arguments)


def test_trains_inside_keras_fit():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    model.compile(keras.optimizers.SGD(0.5), TripletSemiHardLoss(0.2, "squared-L2"))
    history = model.fit(POINTS, LABEL, batch_size=12, epochs=20, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
