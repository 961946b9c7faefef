"""The losses on pairs: by hand, beside pytorch-metric-learning, and with a memory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from facezoo.losses import (
    CenterLoss,
    CircleLoss,
    CrossBatchMemory,
    MultiSimilarityLoss,
    ReducedLoss,
    SupConLoss,
    TripletSemiHardLoss,
)
from facezoo.mining import informative_pairs

EYE = np.eye(4, dtype="float32")
ONES = np.ones(4, "float32")
PAIRS = np.array([0, 0, 1, 1])


def test_pairs_that_an_anchor_could_confuse():
    similarity = np.array([[0.0, 0.9, 0.4, 0.55, 0.3]], "float32")
    is_positive = np.array([[False, True, True, False, False]])
    is_negative = np.array([[False, False, False, True, True]])
    positive, negative = informative_pairs(similarity, is_positive, is_negative, 0.05)
    assert np.flatnonzero(positive).tolist() == [2]
    assert np.flatnonzero(negative).tolist() == [3]
    positive, negative = informative_pairs(similarity, is_positive, 0 * is_negative > 0, 0.05)
    assert not np.any(positive) and not np.any(negative)


def test_a_sample_without_a_genuine_pair_gives_0():
    label, points = np.array([0, 0, 1, 2]), EYE
    for cls in (CircleLoss, MultiSimilarityLoss, SupConLoss):
        values = cls(reduction=None)(label, points).numpy()
        assert np.all(values[:2] > 0.0) and values[2:].tolist() == [0.0, 0.0], cls


def test_supcon_of_the_perfect_batch_is_the_logarithm_of_the_positives():
    label = np.repeat(np.arange(3), 4)
    values = SupConLoss(temperature=0.05, reduction=None)(label, EYE[label])
    np.testing.assert_allclose(values, np.log(3), rtol=1e-5)


def test_means_over_samples_or_over_classes():
    label = np.array([0, 0, 0, 1, 1, 2])
    points = np.random.default_rng(5).normal(size=(6, 3)).astype("float32")
    values = SupConLoss(reduction=None)(label, points).numpy()
    first, second = values[:3].mean(), values[3:5].mean()
    for options, wanted in (
        ({}, values[:5].mean()),
        ({"low": None}, values.mean()),
        ({"per_class": True}, (first + second) / 2),
        ({"per_class": True, "low": None}, (first + second) / 3),
    ):
        found = float(ReducedLoss("supcon", **options)(label, points))
        assert found == pytest.approx(wanted, rel=1e-5), options
    assert float(ReducedLoss("supcon", low=1e6)(label, points)) == 0.0


@pytest.mark.parametrize(
    ("cls", "wrong"),
    [
        (CircleLoss, {"margin": 1.0}),
        (CircleLoss, {"scale": 0.0}),
        (MultiSimilarityLoss, {"alpha": 0.0}),
        (MultiSimilarityLoss, {"epsilon": -0.1}),
        (SupConLoss, {"temperature": 0.0}),
        (CenterLoss, {"num_classes": 0}),
        (CenterLoss, {"num_classes": 1, "alpha": 1.5}),
        (CrossBatchMemory, {"loss": "supcon", "memory_size": 0}),
        (CrossBatchMemory, {"loss": "supcon", "num_warm_up_steps": -1}),
        (CrossBatchMemory, {"loss": TripletSemiHardLoss()}),
        (ReducedLoss, {"loss": keras.losses.MeanSquaredError()}),
        (ReducedLoss, {"loss": "supcon", "low": 1.0, "high": 1.0}),
    ],
)
def test_impossible_arguments_are_refused(cls, wrong):
    with pytest.raises(ValueError, match="Received: "):
        cls(**wrong)


def test_a_label_outside_the_centres_counts_for_nothing():
    loss = CenterLoss(num_classes=2)
    loss.build((None, 4))
    before = loss.centers.numpy()
    values = loss(EYE, ONES, np.array([-1, 2, 2, 1]), training=True).numpy()
    assert values[:3].tolist() == [0.0, 0.0, 0.0] and values[3] > 0.0
    np.testing.assert_array_equal(loss.centers[0], before[0])
    np.testing.assert_allclose(loss.centers[1], before[1] - 0.25 * (before[1] - EYE[3]), rtol=1e-6)


def test_centres_of_features_or_of_embeddings():
    for use_norm, length in ((True, 3.0), (False, 1.0)):
        loss = CenterLoss(num_classes=1, use_norm=use_norm)
        loss.build((None, 4))
        loss.set_weights([np.zeros((1, 4))])
        np.testing.assert_allclose(loss(EYE, 3 * ONES, np.zeros(4, int)), 0.5 * length**2)


def step(memory, points, label):
    return memory(points, np.ones(len(label)), np.array(label), training=True).numpy()


def test_no_sample_is_paired_with_itself():
    memory = CrossBatchMemory(SupConLoss(), memory_size=4)
    assert step(memory, EYE[:2], [0, 1]).tolist() == [0.0, 0.0]
    assert memory.memory.numpy().tolist() == [[0.0] * 4, [0.0] * 4, *EYE[:2].tolist()]
    # Now the genuine pair is the one with itself of the step before.
    assert np.all(step(memory, EYE[:2], [0, 1]) > 0.0)


def test_empty_places_are_no_negatives():
    memory = CrossBatchMemory(SupConLoss(temperature=1.0), memory_size=100)
    values = step(memory, EYE[:3], [7, 7, 0])
    np.testing.assert_allclose(values[:2], np.log(2), rtol=1e-5)


def test_warm_up():
    memory = CrossBatchMemory("supcon", memory_size=8, num_warm_up_steps=2)
    for _ in range(2):
        assert not np.any(step(memory, EYE, PAIRS))
        assert int(memory.num_stored) == 0
    assert np.all(step(memory, EYE, PAIRS) > 0.0)
    assert int(memory.num_stored) == 4


def test_a_batch_larger_than_the_memory_leaves_its_last_ones():
    memory = CrossBatchMemory("supcon", memory_size=3)
    step(memory, EYE, PAIRS)
    assert memory.memory_label.numpy().tolist() == [0, 1, 1]
    np.testing.assert_array_equal(memory.memory, EYE[1:])


def test_from_the_memory_no_gradient_comes_back():
    memory = CrossBatchMemory("supcon", memory_size=8)
    points = tf.constant(EYE + 0.1)
    with tf.GradientTape() as tape:
        tape.watch(points)
        # Of the first anchor: with a gradient to the candidates, other rows would have one.
        value = memory(points, ONES, PAIRS, training=True)[0]
    gradient = tape.gradient(value, points).numpy()
    assert np.any(gradient[0]) and not np.any(gradient[1:])


def peer(name, **arguments):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    reducers = pytest.importorskip("pytorch_metric_learning.reducers")
    return getattr(losses, name)(reducer=reducers.DoNothingReducer(), **arguments)


def peer_values(loss, points, label, miner=None):
    """Values, and the gradient of their mean."""
    import torch

    points, label = torch.tensor(points, requires_grad=True), torch.tensor(label)
    pairs = None if miner is None else miner(points, label)
    values = loss(points, label, pairs)["loss"]["losses"]
    values.mean().backward()
    return values.detach().numpy().ravel(), points.grad.numpy()


def random_batch(seed, size=30):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, 8)).astype("float32"), rng.integers(0, 5, size)


def assert_equal_to_peer(loss, theirs, miner=None):
    for seed in range(3):
        points, label = random_batch(seed)
        values, gradient = peer_values(theirs, points, label, miner)
        inputs = tf.constant(points)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            found = loss(label, inputs)
            mean = tf.reduce_mean(found)
        np.testing.assert_allclose(found, values, rtol=1e-4)
        limit = 1e-4 * np.abs(gradient).max()
        np.testing.assert_allclose(tape.gradient(mean, inputs), gradient, atol=limit)


def test_circle_beside_pytorch_metric_learning():
    assert_equal_to_peer(CircleLoss(reduction=None), peer("CircleLoss", m=0.25, gamma=256))


def test_multi_similarity_beside_pytorch_metric_learning():
    theirs = peer("MultiSimilarityLoss", alpha=2, beta=50, base=0.5)
    assert_equal_to_peer(MultiSimilarityLoss(epsilon=None, reduction=None), theirs)
    miner = pytest.importorskip("pytorch_metric_learning.miners").MultiSimilarityMiner(0.1)
    assert_equal_to_peer(MultiSimilarityLoss(reduction=None), theirs, miner)


def test_supcon_beside_pytorch_metric_learning():
    assert_equal_to_peer(SupConLoss(reduction=None), peer("SupConLoss", temperature=0.07))


def test_cross_batch_memory_beside_pytorch_metric_learning():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    theirs = losses.CrossBatchMemory(peer("MultiSimilarityLoss"), 8, memory_size=70)
    ours = CrossBatchMemory(MultiSimilarityLoss(epsilon=None), memory_size=70)
    for seed in range(5):
        points, label = random_batch(seed)
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        wanted, _ = peer_values(theirs, points, label)
        np.testing.assert_allclose(step(ours, points, label), wanted, rtol=1e-4)


def test_the_wrapped_loss_is_saved_with_its_arguments():
    memory = CrossBatchMemory(CircleLoss(margin=0.3), memory_size=4)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(memory))
    assert again.loss.margin == 0.3
