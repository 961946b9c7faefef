"""Losses for several sets: pairs and triplets left out have neither value nor gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from facezoo import registry
from facezoo.contracts import MiningLoss
from facezoo.losses import GivenTripletsLoss, ReducedLoss, WithinSets
from tests.oracles import points
from tests.small_model import images, small_model

LABEL, POINTS = points.LABEL, np.float32(points.s1())
MINING = [
    name
    for name, cls in registry.parts("loss").items()
    if issubclass(cls, MiningLoss) and cls is not WithinSets
]
# On a line: people 0 and 1 of one set, 2 and 3 of another.
LINE = np.float32([[0.0], [1.0], [5.0], [6.0], [2.0], [3.0], [9.0], [9.5]])
LINE_LABEL = np.array([0, 0, 1, 1, 2, 2, 3, 3])


def value_and_gradient(loss, label, embedding):
    embedding = tf.constant(embedding)
    with tf.GradientTape() as tape:
        tape.watch(embedding)
        value = loss(label, embedding)
    return float(value), tape.gradient(value, embedding).numpy()


@pytest.mark.parametrize("name", MINING)
def test_one_set_changes_nothing(name):
    cls, _ = registry.get("loss", name)
    wanted = value_and_gradient(cls(**cls.TINY), LABEL, POINTS)
    found = value_and_gradient(WithinSets(cls(**cls.TINY), [4]), LABEL, POINTS)
    assert found[0] == pytest.approx(wanted[0], rel=1e-6)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", MINING)
def test_other_sets_have_no_influence(name):
    """The rows of the second set may be anywhere: those of the first learn the same."""
    cls, _ = registry.get("loss", name)
    loss, is_first = WithinSets(cls(**cls.TINY), [2, 2]), LABEL < 2
    moved = np.where(is_first[:, None], POINTS, np.float32(points.s2()))
    loss.reduction = "none"
    found = []
    for embedding in (POINTS, moved):
        embedding = tf.constant(embedding)
        with tf.GradientTape() as tape:
            tape.watch(embedding)
            values = tf.boolean_mask(loss(LABEL, embedding), is_first)
            total = tf.reduce_sum(values)
        found.append((values.numpy(), tape.gradient(total, embedding).numpy()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for _, gradient in found:
        assert np.all(gradient[~is_first] == 0.0)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)


class TestByHand:
    """Hardest triplets on a line, L2, margin 2: d_ap is 1, or 0.5 for the last two."""

    def values(self, **options):
        loss, _ = registry.get("loss", "triplet")
        loss = loss(2.0, "L2", "all", "hardest")
        within = WithinSets(loss, [2, 2], reduction="none", **options)
        return within(LINE_LABEL, LINE).numpy().tolist()

    def test_within_the_sets(self):
        # Nearest negatives at 5, 4, 4, 5, 7, 6, 6, 6.5: all beyond d_ap + 2.
        assert self.values() == [0.0] * 8

    def test_across_the_sets(self):
        # Nearest negatives at 2, 1, 2, 3, 1, 2, 3, 3.5.
        wanted = [1.0, 2.0, 1.0, 0.0, 2.0, 1.0, 0.0, 0.0]
        assert self.values(cross_set_negatives=True) == wanted

    def test_suspected_duplicates_are_left_out(self):
        # 0 and 2 may be one: theirs are then at 5, 4, 2, 3, 3, 2, 3, 3.5.
        options = {"cross_set_negatives": True, "duplicates": [(2, 0)]}
        assert self.values(**options) == [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]

    def test_pairs_left_out_do_not_count_in_the_mean(self):
        loss, near = "batch_contrastive", np.float32([[0.0], [1.0], [0.5]])
        label = np.array([0, 0, 1])
        # Two ordered genuine pairs of cost 1; four impostor pairs of cost 1/4.
        assert float(WithinSets(loss, [2])(label, near)) == pytest.approx(3 / 6)
        value, gradient = value_and_gradient(WithinSets(loss, [1, 1]), label, near)
        assert value == pytest.approx(2 / 2)
        np.testing.assert_allclose(gradient, [[-2.0], [2.0], [0.0]])


def test_a_label_outside_every_set_is_everybodys_impostor():
    label, near = np.array([0, 1, 7]), np.float32([[0.0], [0.2], [0.5]])
    loss = WithinSets("batch_contrastive", [1, 1], reduction="none")
    # 0 and 1 are not compared: four ordered pairs, of which (0, 7) costs 0.25 and (1, 7) 0.49.
    np.testing.assert_allclose(loss(label, near), np.array([0.25, 0.49, 0.74]) * 3 / 4, rtol=1e-5)


@pytest.mark.parametrize("loss", [ReducedLoss("supcon"), GivenTripletsLoss()])
def test_losses_that_look_for_no_pairs_are_refused(loss):
    with pytest.raises(ValueError, match="loss must be of the kind MiningLoss"):
        WithinSets(loss, [2])


def test_bad_sets_raise():
    for num_classes in ([], [2, 0]):
        with pytest.raises(ValueError, match="num_classes must be .* each at least 1"):
            WithinSets("supcon", num_classes)


def test_options_survive_saving():
    loss = WithinSets("triplet", [2, 2], cross_set_negatives=True, duplicates=[(0, 3)])
    again = keras.losses.deserialize(keras.losses.serialize(ReducedLoss(loss)))
    assert again.loss.sets.duplicates == [[0, 3]] and again.loss.sets.cross_set_negatives
    assert float(again(LABEL, POINTS)) == float(ReducedLoss(loss)(LABEL, POINTS))


def test_triplets_inside_are_observed():
    model = small_model(None)
    model.compile("sgd", WithinSets("triplet", [2, 2]))
    logs = model.evaluate(images(12), LABEL, verbose=0, return_dict=True)
    assert 0.0 <= logs["active_fraction"] <= 1.0 and "mean_d_ap" in logs
