"""What is particular to the triplet losses: options, corner cases, many positives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from facezoo.losses import TripletAllLoss, TripletHardLoss, TripletLoss, TripletSemiHardLoss
from facezoo.ops import DISTANCES
from tests.oracles import points, triplet, triplet_all, triplet_hard, triplet_semi_hard

LABEL, POINTS = points.LABEL, points.s1()
ORACLES = {
    TripletLoss: triplet,
    TripletAllLoss: triplet_all,
    TripletHardLoss: triplet_hard,
    TripletSemiHardLoss: triplet_semi_hard,
}
# Some people have one picture; in the last batch there is one person.
LABELS = (LABEL, np.array([*LABEL[:-2], 8, 9]), np.arange(12), 0 * LABEL)


def assert_equals_oracle(loss, label, embedding):
    expected = ORACLES[type(loss)].per_sample(label, embedding, loss.get_config())
    loss.reduction = "none"
    np.testing.assert_allclose(loss(label, embedding), expected, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("label", LABELS, ids=["triples", "singles", "no_pair", "one_identity"])
@pytest.mark.parametrize("mean_over", ["all", "active"])
class TestOptions:
    @pytest.mark.parametrize("positives", ["all", "hardest"])
    @pytest.mark.parametrize("negatives", ["semi-hard", "hardest"])
    def test_triplet(self, positives, negatives, mean_over, label):
        loss = TripletLoss(0.3, "L2", positives, negatives, mean_over)
        assert_equals_oracle(loss, label, POINTS)

    @pytest.mark.parametrize("policy", ["tfa", "skip"])
    @pytest.mark.parametrize("soft", [False, True])
    def test_hard(self, soft, policy, mean_over, label):
        options = {"anchors_without_negatives": policy, "mean_over": mean_over}
        assert_equals_oracle(TripletHardLoss(0.3, soft, "angular", **options), label, POINTS)

    @pytest.mark.parametrize("policy", ["tfa", "skip"])
    def test_semi_hard(self, policy, mean_over, label):
        options = {"anchors_without_negatives": policy, "mean_over": mean_over}
        assert_equals_oracle(TripletSemiHardLoss(0.3, **options), label, POINTS)

    def test_all(self, mean_over, label):
        assert_equals_oracle(TripletAllLoss(0.3, mean_over=mean_over), label, POINTS)


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize("cls", [TripletLoss, TripletAllLoss, TripletHardLoss])
def test_every_distance(cls, metric):
    assert_equals_oracle(cls(0.3, distance_metric=metric), LABEL, POINTS)


def test_more_positives_than_are_listed():
    rng = np.random.default_rng(0)
    label, embedding = np.arange(150) % 2, rng.normal(size=(150, 3))
    assert_equals_oracle(TripletLoss(0.2), label, embedding)


def test_random_negatives_cost_no_more_than_the_hardest_and_something():
    values = {
        name: float(TripletLoss(0.5, negatives=name)(LABEL, POINTS))
        for name in ("random", "hardest")
    }
    assert 0 < values["random"] < values["hardest"]


def test_random_negatives_depend_on_the_embeddings_alone():
    loss = TripletLoss(0.5, negatives="random")
    assert float(loss(LABEL, POINTS)) == float(loss(LABEL, POINTS))


def test_soft_margin_does_not_overflow():
    assert float(TripletHardLoss(soft=True)(LABEL, 1e4 * POINTS)) > 1e3


def test_example_of_tensorflow_addons_documentation():
    assert float(TripletHardLoss()([0, 0], [[0.0, 1.0], [1.0, 0.0]])) == pytest.approx(1.0)


@pytest.mark.parametrize("cls", [TripletLoss, TripletHardLoss, TripletAllLoss])
@pytest.mark.parametrize("label", [np.arange(4), np.arange(1)])
def test_no_positive_pair_gives_0(cls, label):
    assert float(cls()(label, POINTS[: len(label)])) == 0.0


def test_equal_points_have_gradient_0():
    embedding = tf.ones((12, 3))
    for cls in ORACLES:
        with tf.GradientTape() as tape:
            tape.watch(embedding)
            loss = cls(0.2)(LABEL, embedding)
        assert float(loss) == pytest.approx(0.2)
        np.testing.assert_allclose(tape.gradient(loss, embedding), np.zeros((12, 3)), atol=1e-6)


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (TripletLoss, {"positives": "some"}, "positives must be one of"),
        (TripletLoss, {"negatives": "easy"}, "negatives must be one of"),
        (TripletAllLoss, {"mean_over": "some"}, "mean_over must be one of.*Received: mean_over="),
        (TripletHardLoss, {"margin": float("nan")}, "margin must be 0 or more"),
    ],
)
def test_bad_arguments_raise(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        cls(**arguments)


def test_options_survive_saving():
    loss = TripletLoss(0.4, "angle", "hardest", "random", "active")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.rule == loss.rule
    assert (again.distance_metric, again.mean_over) == ("angle", "active")
