"""The contrastive loss of given pairs: tensorflow-addons' numbers, shapes, weights, precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from facezoo.losses import BatchContrastiveLoss, ContrastiveLoss

IS_GENUINE, DISTANCES = [1, 0, 1, 0], [0.0, 0.3, 0.9, 1.4]


def test_values_of_tensorflow_addons():
    samples = ContrastiveLoss(reduction="none")(IS_GENUINE, DISTANCES)
    np.testing.assert_allclose(samples, [0.0, 0.49, 0.81, 0.0], atol=1e-6)
    assert float(ContrastiveLoss()(IS_GENUINE, DISTANCES)) == pytest.approx(0.325, abs=1e-6)


def test_gradient():
    distances = tf.constant(DISTANCES)
    with tf.GradientTape() as tape:
        tape.watch(distances)
        value = ContrastiveLoss(reduction="sum")(IS_GENUINE, distances)
    np.testing.assert_allclose(tape.gradient(value, distances), [0.0, -1.4, 1.8, 0.0], atol=1e-6)


def test_columns_of_labels_and_distances():
    column = ContrastiveLoss()(np.array(IS_GENUINE)[:, None], np.array(DISTANCES)[:, None])
    assert float(column) == pytest.approx(0.325, abs=1e-6)


def test_sample_weight():
    value = ContrastiveLoss()(IS_GENUINE, DISTANCES, sample_weight=[1.0, 2.0, 0.0, 1.0])
    assert float(value) == pytest.approx(0.98 / 4, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_every_float_dtype(dtype):
    value = ContrastiveLoss()(IS_GENUINE, tf.cast(DISTANCES, dtype))
    assert value.dtype == tf.float32
    assert float(value) == pytest.approx(0.325, rel=0.01)


def test_config_round_trip():
    loss = ContrastiveLoss(0.7, reduction="sum")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert (again.margin, again.reduction) == (0.7, "sum")


def test_embeddings_are_no_distances():
    with pytest.raises(ValueError, match=r"one distance per pair.*\(2, 3\).*BatchContrastiveLoss"):
        ContrastiveLoss()([1, 0], np.zeros((2, 3)))


def test_margin_below_0_raises():
    with pytest.raises(ValueError, match="margin must be 0 or more"):
        ContrastiveLoss(-0.1)


@pytest.mark.parametrize("mean_over", ["all", "active"])
def test_batch_is_all_pairs(mean_over):
    rng = np.random.default_rng(0)
    label, embedding = np.arange(7) % 3, rng.normal(size=(7, 2))
    first, second = np.nonzero(~np.eye(7, dtype=bool))
    distances = np.linalg.norm(embedding[first] - embedding[second], axis=1)
    costs = ContrastiveLoss(2.0, "none")(label[first] == label[second], distances).numpy()
    expected = costs.mean() if mean_over == "all" else costs[costs > 0].mean()
    found = BatchContrastiveLoss(2.0, mean_over=mean_over)(label, embedding)
    assert float(found) == pytest.approx(expected, rel=1e-5)
