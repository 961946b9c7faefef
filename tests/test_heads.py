"""Every head passes every check; and what is particular to one of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from facezoo import create_head, heads
from facezoo.models.per_sample import weighted_mean
from tests.checks import cross, golden
from tests.checks import head as checks
from tests.oracles import magface, points
from tests.small_model import images, small_model

EMBEDDING = points.head_embedding().astype("float32")
LABEL = points.HEAD_LABEL.astype("int32")
NORM = points.head_norm().astype("float32")


def made(cls, **arguments):
    """A head on the five classes of the oracle's points."""
    head = cls(num_classes=5, **arguments)
    head.build((None, 4))
    head.centers.assign(points.head_centers(head.centers.shape[1]))
    return head


def cross_entropy(logits, label=LABEL):
    values = keras.losses.sparse_categorical_crossentropy(label, logits, from_logits=True)
    return float(keras.ops.mean(values))


@pytest.mark.parametrize(("cls", "check"), cross("head", checks))
def test_head(cls, check):
    check(cls)


class TestArguments:
    @pytest.mark.parametrize("margin", [-0.1, 1.1, float("nan")])
    def test_cosface_refuses_a_margin_that_is_no_cosine(self, margin):
        with pytest.raises(ValueError, match=r"margin must be in \[0, 1\].*Received: margin="):
            heads.CosFace(num_classes=2, margin=margin)

    @pytest.mark.parametrize("cls", [heads.ArcFace, heads.SubCenterArcFace, heads.CurricularFace])
    @pytest.mark.parametrize("margin", [-0.1, 28.6, float("nan")])
    def test_degrees_are_refused(self, cls, margin):
        message = r"margin must be in \[0, pi/2\] radians. Received: margin=.* Is it in degrees\?"
        with pytest.raises(ValueError, match=message):
            cls(num_classes=2, margin=margin)

    @pytest.mark.parametrize("name", ["arcface", "subcenter_arcface", "curricularface", "magface"])
    def test_unknown_policies_are_refused(self, name):
        with pytest.raises(ValueError, match=r"beyond_pi must be one of \('linear', .* 'hard'"):
            create_head(name, num_classes=2, beyond_pi="hard")

    @pytest.mark.parametrize(
        ("name", "arguments", "message"),
        [
            ("sphereface", {"margin": 0.2}, "margin must be a whole number of at least 1"),
            ("sphereface", {"margin": 0}, "margin must be a whole number of at least 1"),
            ("sphereface", {"lambda_min": -1.0}, "lambda_min must be at least 0"),
            ("combined_margin", {"margin1": 0.0}, "margin1 must be above 0"),
            ("combined_margin", {"margin2": 17.2}, r"margin2 must be .* Is it in degrees\?"),
            ("combined_margin", {"margin3": 1.5}, r"margin3 must be in \[0, 1\]"),
            ("combined_margin", {"beyond_pi": "easy"}, r"one of \('monotone', 'none'\)"),
            ("subcenter_arcface", {"centers_per_class": 0}, "centers_per_class must be at least 1"),
            ("curricularface", {"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
            (
                "magface",
                {"margin_range": (0.8, 0.45)},
                r"margin_range must rise within \[0, pi/2\]",
            ),
            ("magface", {"margin_range": (26.0, 46.0)}, r"Is it in degrees\?"),
            ("magface", {"norm_range": (0.0, 110.0)}, "norm_range must rise, from above 0"),
            ("magface", {"regularization": -1.0}, "regularization must be at least 0"),
            ("adaface", {"margin": 22.9}, r"margin must be in \[0, 1\].* Is it in degrees\?"),
            ("adaface", {"concentration": 0.0}, "concentration must be above 0"),
            ("adaface", {"momentum": -0.1}, r"momentum must be in \[0, 1\)"),
        ],
    )
    def test_bad_arguments_are_refused(self, name, arguments, message):
        with pytest.raises(ValueError, match=message):
            create_head(name, num_classes=2, **arguments)

    def test_published_defaults(self):
        published = {
            "cosface": {"margin": 0.35, "scale": 64.0},
            "arcface": {"margin": 0.5, "scale": 64.0, "straight_through": False},
            "combined_margin": {"margin1": 1.0, "margin2": 0.3, "margin3": 0.2},
            "sphereface": {"margin": 4, "scale": None, "lambda_min": 5.0, "lambda_start": 1000.0},
            "subcenter_arcface": {"centers_per_class": 3, "margin": 0.5},
            "curricularface": {"margin": 0.5, "momentum": 0.99},
            "magface": {"margin_range": [0.45, 0.8], "norm_range": [10.0, 110.0]},
            "adaface": {"margin": 0.4, "concentration": 0.333, "momentum": 0.99},
        }
        for name, expected in published.items():
            config = create_head(name, num_classes=2).get_config()
            assert {key: config[key] for key in expected} == expected, name


def test_scale_none_is_the_norm():
    by_norm = made(heads.CosFace, scale=None)(EMBEDDING, NORM, LABEL)
    by_one = made(heads.CosFace, scale=1.0)(EMBEDDING, NORM, LABEL)
    np.testing.assert_allclose(by_norm, NORM[:, None] * by_one, rtol=1e-6)


def test_l2_softmax_without_scale_is_softmax():
    found = made(heads.L2Softmax, scale=None)(EMBEDDING, NORM, LABEL)
    np.testing.assert_array_equal(found, made(heads.Softmax)(EMBEDDING, NORM, LABEL))


class TestMinScale:
    def test_published(self):
        assert heads.L2Softmax.min_scale(10_575, 0.9) == pytest.approx(11.46, abs=5e-3)

    def test_cosface_reaches_the_probability_at_the_corners_of_a_simplex(self):
        # Ten centres with cosines of -1/9, and an embedding on the first of them.
        scale = heads.CosFace.min_scale(10, 0.9)
        weights = np.exp(scale * np.array([1.0] + [-1 / 9] * 9))
        assert weights[0] / weights.sum() == pytest.approx(0.9)

    def test_l2_softmax_reaches_the_probability_on_the_axes(self):
        # One centre opposite, the others at right angles; the opposite one hardly counts.
        scale = heads.L2Softmax.min_scale(1000, 0.99)
        weights = np.exp(scale * np.array([1.0, -1.0] + [0.0] * 998))
        assert weights[0] / weights.sum() == pytest.approx(0.99, abs=1e-4)

    @pytest.mark.parametrize(("num_classes", "probability"), [(2, 1.0), (2, 0.0), (1, 0.9)])
    def test_out_of_range(self, num_classes, probability):
        for cls in (heads.CosFace, heads.L2Softmax):
            with pytest.raises(ValueError, match=r"num_classes must be at least .* in \(0, 1\)"):
                cls.min_scale(num_classes, probability)


@pytest.mark.parametrize("straight_through", [False, True])
def test_gradient_of_arcface(straight_through):
    case = golden("arcface")["gradient_factors"]
    head = heads.ArcFace(5, margin=case["margin"], straight_through=straight_through)
    cosine = tf.constant(np.sum(EMBEDDING * own_centers(), axis=1)[:, None])
    with tf.GradientTape() as tape:
        tape.watch(cosine)
        value = head.target_cosine(cosine, None)
    factors = np.ones(6) if straight_through else case["values"]
    np.testing.assert_allclose(tape.gradient(value, cosine)[:, 0], factors, atol=1e-5)


def own_centers():
    centers = points.head_centers()[:, LABEL].T
    return np.float32(centers / np.linalg.norm(centers, axis=1, keepdims=True))


class TestSphereFace:
    def test_the_plain_cosine_loses_weight_by_the_training_steps(self):
        head = made(heads.SphereFace)
        assert float(head.cosine_weight()) == 1000.0
        for step in range(1, 4):
            head(EMBEDDING, NORM, LABEL)
            head(EMBEDDING, NORM, LABEL, training=True)
            assert float(head.cosine_weight()) == pytest.approx(1000 / (1 + 0.12 * step))
        head.iteration.assign(1e6)
        assert float(head.cosine_weight()) == 5.0

    def test_the_step_is_counted_before_it_is_used(self):
        trained, later = made(heads.SphereFace), made(heads.SphereFace)
        later.iteration.assign(1.0)
        np.testing.assert_array_equal(
            trained(EMBEDDING, NORM, LABEL, training=True), later(EMBEDDING, NORM, LABEL)
        )


class TestSubCenterArcFace:
    def test_one_centre_is_arcface(self):
        found = made(heads.SubCenterArcFace, centers_per_class=1)(EMBEDDING, NORM, LABEL)
        np.testing.assert_array_equal(found, made(heads.ArcFace)(EMBEDDING, NORM, LABEL))

    def test_only_the_nearest_centre_learns(self):
        head = made(heads.SubCenterArcFace, centers_per_class=2)
        cosine = (EMBEDDING[:1] @ head.centers.numpy()) / np.linalg.norm(head.centers, axis=0)
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(head(EMBEDDING[:1], NORM[:1], LABEL[:1]))
        moves = np.any(tape.gradient(value, head.centers.value).numpy() != 0.0, axis=0)
        nearest = cosine.reshape(5, 2).argmax(axis=1)
        np.testing.assert_array_equal(moves.reshape(5, 2), np.eye(2, dtype=bool)[nearest])


class TestCurricularFace:
    def test_a_step_from_the_start_equals_the_authors_code(self):
        head = made(heads.CurricularFace)
        logits = head(EMBEDDING, NORM, LABEL, training=True)
        assert float(head.t) == pytest.approx(0.004453958219654202, rel=1e-6)
        assert cross_entropy(logits) == pytest.approx(34.8142932, abs=1e-5)

    def test_masked_labels_do_not_move_t(self):
        head, half = made(heads.CurricularFace), made(heads.CurricularFace)
        label = np.where(np.arange(6) < 3, LABEL, -1).astype("int32")
        head(EMBEDDING, NORM, label, training=True)
        half(EMBEDDING[:3], NORM[:3], LABEL[:3], training=True)
        assert float(head.t) == float(half.t) != 0.0
        head(EMBEDDING, NORM, np.full(6, 5), training=True)
        assert float(head.t) == float(half.t)

    def test_t_has_no_gradient(self):
        head, embedding = made(heads.CurricularFace), tf.constant(EMBEDDING)
        with tf.GradientTape() as tape:
            tape.watch(embedding)
            head(embedding, NORM, LABEL, training=True)
            t = head.t * 1.0
        assert tape.gradient(t, embedding) is None


class TestAdaFace:
    def test_a_step_from_the_start_equals_the_authors_code(self):
        head = made(heads.AdaFace)
        logits = head(EMBEDDING, 20 * NORM, LABEL, training=True)
        assert float(head.norm_mean) == pytest.approx(20.082527281298468, rel=1e-6)
        assert float(head.norm_std) == pytest.approx(99.03058722126086, rel=1e-6)
        assert cross_entropy(logits) == pytest.approx(44.5772181, abs=1e-5)

    def test_masked_labels_do_not_move_the_statistics(self):
        head, half = made(heads.AdaFace), made(heads.AdaFace)
        label = np.where(np.arange(6) < 3, LABEL, -1).astype("int32")
        head(EMBEDDING, NORM, label, training=True)
        half(EMBEDDING[:3], NORM[:3], LABEL[:3], training=True)
        found, wanted = ([float(one.norm_mean), float(one.norm_std)] for one in (head, half))
        assert found == pytest.approx(wanted, rel=1e-6) and wanted != [20.0, 100.0]
        head(EMBEDDING, NORM, np.full(6, 5), training=True)
        assert [float(head.norm_mean), float(head.norm_std)] == found

    def test_no_gradient_flows_into_the_norm(self):
        head, norm = made(heads.AdaFace), tf.constant(20 * NORM)
        with tf.GradientTape() as tape:
            tape.watch(norm)
            logits = head(EMBEDDING, norm, LABEL)
        assert tape.gradient(logits, norm) is None

    def test_quality_turns_the_margin(self):
        """Sharp images are pushed when hard, blurred ones when easy: the slopes cross."""
        head = made(heads.AdaFace, margin=0.4)
        head.norm_std.assign(1.0)
        easy, hard = np.float32([[np.cos(0.5)]]), np.float32([[np.cos(2.0)]])
        slope = {}
        for name, cosine in (("easy", easy), ("hard", hard)):
            for quality, norm in (("sharp", 30.0), ("blurred", 10.0)):
                value = tf.constant(cosine)
                with tf.GradientTape() as tape:
                    tape.watch(value)
                    target = head.target_cosine(value, np.float32([[norm]]))
                slope[name, quality] = float(tape.gradient(target, value)[0, 0])
        assert slope["hard", "sharp"] > slope["easy", "sharp"]
        assert slope["easy", "blurred"] > slope["hard", "blurred"]


class TestMagFace:
    def test_penalty(self):
        case = golden("magface")["penalty"]
        found = heads.MagFace(5, regularization=1.0).penalty(case["norm_factor"] * NORM, LABEL)
        np.testing.assert_allclose(found, case["values"], atol=1e-9)

    def test_the_norm_is_worth_its_penalty_up_to_the_upper_end(self):
        head = heads.MagFace(5)
        norm = np.linspace(1.0, 200.0, 400).astype("float32")
        found = head.penalty(norm, np.zeros(400, "int32")).numpy()
        np.testing.assert_allclose(found, magface.penalty(norm, head.get_config()), rtol=1e-6)
        assert np.all(np.diff(found) <= 0.0)

    def test_a_model_minimises_the_penalty_with_the_weights_of_the_samples(self):
        label, weight = np.array([0, 1, 2]), np.float32([0.5, 2.0, 0.0])
        model = small_model(create_head("magface", num_classes=3))
        plain = small_model(create_head("magface", num_classes=3, regularization=0.0))
        image = 5.0 * images(3)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        for one in (model, plain):
            one.compile("sgd", loss, jit_compile=False)
        evaluated = [
            one.evaluate(image, label, sample_weight=weight, verbose=0, return_dict=True)["loss"]
            for one in (model, plain)
        ]
        norm = np.array(model(image)["norm"])
        penalty = magface.penalty(norm, model.head.get_config())
        assert evaluated[0] - evaluated[1] == pytest.approx(np.mean(weight * penalty), rel=1e-4)

    def test_weighted_mean(self):
        assert float(weighted_mean(tf.constant([1.0, 2.0, 3.0]))) == 2.0
        weight = tf.constant([0.0, 3.0, 0.0])
        assert float(weighted_mean(tf.constant([1.0, 2.0, 3.0]), weight)) == 2.0
