"""The loss on given triplets: by hand, beside a search that finds the same, and on replicas."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from facezoo.losses import GivenTripletsLoss, TripletHardLoss
from facezoo.mining import mine_triplets
from facezoo.ops import DISTANCES
from tests.oracles import points
from tests.oracles.distances import distance
from tests.small_model import images, small_model

REPOSITORY = Path(__file__).parents[1]
LABEL, POINTS = points.LABEL, np.float32(points.s1())
# Triplets of which some cost something.
MIXED = np.random.default_rng(0).normal(size=(12, 8))
NOBODY = np.zeros(len(LABEL), "int32")


def by_definition(embedding, margin, metric):
    anchors, positives, negatives = np.split(embedding, 3)
    costs = [
        max(distance(a, p, metric) - distance(a, n, metric) + margin, 0.0)
        for a, p, n in zip(anchors, positives, negatives, strict=True)
    ]
    return np.tile(costs, 3)


@pytest.mark.parametrize("metric", DISTANCES)
def test_equals_the_definition(metric):
    loss = GivenTripletsLoss(0.3, metric, reduction="none")
    wanted = by_definition(MIXED, 0.3, metric)
    assert np.any(wanted > 0.0) and np.any(wanted == 0.0)
    np.testing.assert_allclose(loss(NOBODY, MIXED), wanted, rtol=1e-5, atol=1e-6)


def test_gradient_equals_finite_differences():
    loss, step = GivenTripletsLoss(0.3), 1e-6
    embedding = tf.constant(POINTS)
    with tf.GradientTape() as tape:
        tape.watch(embedding)
        value = loss(NOBODY, embedding)
    numeric = np.zeros(POINTS.shape)
    for index in np.ndindex(POINTS.shape):
        moved = np.zeros(POINTS.shape)
        moved[index] = step
        above, below = (
            by_definition(points.s1() + way * moved, 0.3, "squared-L2").mean() for way in (1, -1)
        )
        numeric[index] = (above - below) / (2 * step)
    np.testing.assert_allclose(tape.gradient(value, embedding), numeric, atol=1e-5)


def test_triplets_mined_offline_cost_what_the_search_online_finds():
    index = mine_triplets(POINTS, LABEL)
    online = TripletHardLoss(0.2, distance_metric="squared-L2")(LABEL, POINTS)
    rows = index.T.ravel()
    offline = GivenTripletsLoss(0.2)(NOBODY[:1].repeat(len(rows)), POINTS[rows])
    assert float(offline) == pytest.approx(float(online), rel=1e-5)


def test_labels_are_not_looked_at():
    loss = GivenTripletsLoss()
    assert float(loss(LABEL, POINTS)) == float(loss(NOBODY, POINTS)) > 0.0


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_batch_that_is_not_in_thirds_raises(size):
    with pytest.raises(ValueError, match=f"a multiple of 3 rows.*Received: {size}"):
        GivenTripletsLoss()(NOBODY[:size], POINTS[:size])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("embedding", [0.0 * POINTS, np.repeat(POINTS[:1], 12, axis=0), POINTS])
def test_finite_and_compiled(dtype, embedding):
    @tf.function(jit_compile=True)
    def step(embedding):
        with tf.GradientTape() as tape:
            tape.watch(embedding)
            value = GivenTripletsLoss()(NOBODY, embedding)
        return value, tape.gradient(value, embedding)

    for value in step(tf.cast(embedding, dtype)):
        assert np.all(np.isfinite(tf.cast(value, tf.float32)))


def test_unknown_batch_size():
    signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 8])]
    compiled = tf.function(GivenTripletsLoss().__call__, input_signature=signature)
    for size in (3, 12):
        found = float(compiled(NOBODY[:size], POINTS[:size]))
        assert found == pytest.approx(float(GivenTripletsLoss()(NOBODY[:size], POINTS[:size])))


def test_options_survive_saving():
    loss = GivenTripletsLoss(0.4, "angle")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert float(again(NOBODY, POINTS)) == float(loss(NOBODY, POINTS))


def test_a_model_trains_and_reports():
    model = small_model(None)
    model.compile("sgd", GivenTripletsLoss(10.0))
    logs = model.train_on_batch(images(12), NOBODY, return_dict=True)
    assert logs["active_fraction"] == 1.0 and logs["loss"] > 0.0
    assert logs["loss"] == pytest.approx(logs["mean_d_ap"] - logs["mean_d_an"] + 10.0, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("num_replicas", [2, 4])
def test_replicas_that_take_every_nth_row_train_as_one_device(num_replicas):
    command = [sys.executable, "-m", "tests.checks.given_triplets_replicas", str(num_replicas)]
    process = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    single, several = json.loads(process.stdout.splitlines()[-1])
    assert several["loss"] == pytest.approx(single["loss"], rel=1e-5)
    np.testing.assert_allclose(several["gradient"], single["gradient"], rtol=1e-5, atol=1e-7)
