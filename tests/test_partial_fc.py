"""Partial FC: which classes a step sees, what it makes of them, and which rows it moves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import facezoo
from facezoo import presets
from facezoo.heads import ArcFace, CosFace, PartialFC
from facezoo.heads.partial_fc import first_column, is_in, sample_classes
from facezoo.models import describe
from tests.small_model import images, small_model

NUM_CLASSES, DIM = 200, 8
# One class twice, one masked, one beyond the classes.
LABEL = np.array([7, 150, 7, -1, 42, NUM_CLASSES, 0], "int32")
KNOWN = [7, 150, 42, 0]


def points(count, seed=0):
    found = np.random.default_rng(seed).normal(size=(count, DIM)).astype("float32")
    return found / np.linalg.norm(found, axis=1, keepdims=True)


EMBEDDING, NORM, CENTERS = points(len(LABEL)), np.full(len(LABEL), 9.0, "float32"), points(200, 1)


def made(**arguments):
    head = PartialFC(**{"num_classes": NUM_CLASSES, "sample_rate": 0.1, **arguments})
    head.build((None, DIM))
    head.centers.assign(CENTERS[: head.num_classes])
    return head


def seen_classes(head, label=LABEL):
    """Draws as a step does: (class of every column that counts, their columns)."""
    classes, is_kept = (np.array(one) for one in head._draw(label))
    return classes[is_kept], np.flatnonzero(is_kept)


class TestDrawing:
    @pytest.mark.slow
    @pytest.mark.parametrize(("num_classes", "num_sample"), [(1, 1), (7, 3), (7, 7), (100, 33)])
    def test_classes_differ_and_are_all_as_likely(self, num_classes, num_sample):
        seed, counts = keras.random.SeedGenerator(3), np.zeros(num_classes)
        draws = 3000
        for _ in range(draws):
            drawn = np.array(sample_classes(num_classes, num_sample, seed))
            assert len(set(drawn.tolist())) == len(drawn) == num_sample
            counts += np.bincount(drawn, minlength=num_classes)
        expected = draws * num_sample / num_classes
        # Five standard deviations.
        assert np.all(np.abs(counts - expected) <= 5 * np.sqrt(expected) + 1e-9)

    def test_any_two_classes_meet(self):
        seed = keras.random.SeedGenerator(3)
        draws = (np.array(sample_classes(9, 3, seed)) for _ in range(600))
        pairs = {(a, b) for drawn in draws for a in drawn for b in drawn if a < b}
        assert len(pairs) == 9 * 8 // 2

    def test_first_column(self):
        found = first_column(LABEL[3:], tf.constant(LABEL), NUM_CLASSES)
        assert found.numpy().tolist() == [-1, 4, -1, 6]
        assert first_column(LABEL, tf.constant(LABEL), 200).numpy().tolist()[:3] == [0, 1, 0]

    def test_is_in(self):
        values = np.array([-1, 0, 7, 8, 42, 300], "int32")
        found = is_in(values, tf.constant(LABEL)).numpy().tolist()
        assert found == [True, True, True, False, True, False]

    def test_the_batch_is_kept_and_filled_up_to_the_rate(self):
        head = made()
        for _ in range(20):
            classes, _ = seen_classes(head)
            assert classes[: len(KNOWN)].tolist() == KNOWN
            assert len(set(classes.tolist())) == len(classes)
            assert len(classes) == head.num_sample == 20

    def test_every_step_draws_anew_and_a_seed_repeats(self):
        one, again, other = made(seed=1), made(seed=1), made(seed=2)
        drawn = [[seen_classes(head)[0].tolist() for _ in range(3)] for head in (one, again, other)]
        assert drawn[0] == drawn[1] != drawn[2]
        assert drawn[0][0] != drawn[0][1] != drawn[0][2]

    def test_a_batch_with_more_classes_than_the_rate_sees_only_its_own(self):
        label = np.arange(50, dtype="int32")
        assert seen_classes(made(), label)[0].tolist() == label.tolist()


class TestLogits:
    def test_all_classes_equal_the_full_softmax(self):
        head, full = made(sample_rate=1.0), CosFace(NUM_CLASSES)
        full.build((None, DIM))
        full.centers.assign(CENTERS.T)
        for training in (False, True):
            np.testing.assert_array_equal(head.columns(LABEL, training), LABEL)
            arguments = {"embedding": EMBEDDING, "norm": NORM, "label": LABEL, "training": training}
            found, expected = head(**arguments), full(**arguments)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)

    @pytest.mark.parametrize("rule", ["cosface", "arcface", "curricularface", "adaface", "magface"])
    def test_a_step_is_the_rule_on_the_classes_it_sees(self, rule):
        head = made(rule=rule)
        classes, columns = seen_classes(made(rule=rule))
        own = facezoo.create_head(rule, num_classes=len(classes))
        own.build((None, DIM))
        own.centers.assign(CENTERS[classes].T)
        place = {one: index for index, one in enumerate(classes.tolist())}
        label = np.array([place.get(one, -1) if one in KNOWN else -1 for one in LABEL.tolist()])
        logits = head(EMBEDDING, NORM, LABEL, training=True).numpy()
        expected = own(EMBEDDING, NORM, label, training=True)
        np.testing.assert_allclose(logits[:, columns], expected, rtol=1e-5, atol=1e-4)
        assert np.all(np.delete(logits, columns, axis=1) == -1e9)
        assert head.columns(LABEL, training=True).numpy().tolist() == [0, 1, 0, -1, 4, -1, 6]
        for found, wanted in zip(head.head.weights, own.non_trainable_weights, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6)

    def test_outside_training_every_class_has_its_logit(self):
        head = made()
        assert head(EMBEDDING, NORM, LABEL).shape == (len(LABEL), NUM_CLASSES)
        np.testing.assert_array_equal(head.columns(LABEL), LABEL)

    def test_penalty_of_the_rule(self):
        assert made().penalty(NORM, LABEL) is None
        penalty = facezoo.create_head("magface", num_classes=2).penalty(NORM, LABEL)
        np.testing.assert_array_equal(made(rule="magface").penalty(NORM, LABEL), penalty)


class TestGradient:
    def step(self, head, optimizer, label):
        with tf.GradientTape() as tape:
            logits = head(EMBEDDING[: len(label)], NORM[: len(label)], label, training=True)
            column = head.columns(label, training=True)
            loss = keras.losses.sparse_categorical_crossentropy(column, logits, from_logits=True)
        gradient = tape.gradient(loss, head.centers.value)
        before = head.centers.numpy()
        optimizer.apply([gradient], [head.centers])
        moved = np.flatnonzero(np.any(before != head.centers.numpy(), axis=1))
        return gradient, set(moved.tolist())

    def test_only_rows_that_were_seen_have_one(self):
        head, twin = made(), made()
        gradient, moved = self.step(head, keras.optimizers.SGD(0.1), LABEL[:3])
        assert isinstance(gradient, tf.IndexedSlices)
        classes, _ = seen_classes(twin, LABEL[:3])
        assert {7, 150} <= moved <= set(classes.tolist())

    @pytest.mark.parametrize(
        ("optimizer", "drifts"),
        [
            (keras.optimizers.SGD(0.1), False),
            (keras.optimizers.Adagrad(0.1), False),
            (keras.optimizers.RMSprop(0.1), False),
            (keras.optimizers.SGD(0.1, momentum=0.9), True),
            (keras.optimizers.Adam(0.1), True),
        ],
        ids=["sgd", "adagrad", "rmsprop", "momentum", "adam"],
    )
    def test_what_keras_optimizers_do_to_rows_of_earlier_steps(self, optimizer, drifts):
        """As the docstring says; momentum keeps moving them."""
        head, twin = made(scale=4.0), made(scale=4.0)
        optimizer.build([head.centers])
        _, first = self.step(head, optimizer, LABEL[:2])
        seen_classes(twin, LABEL[:2])
        _, second = self.step(head, optimizer, LABEL[4:5])
        now = set(seen_classes(twin, LABEL[4:5])[0].tolist())
        assert first - now
        assert (second - now == first - now) is drifts
        assert (not second - now) is not drifts


class TestArguments:
    def test_margin_and_scale_go_to_the_rule(self):
        head = PartialFC(9, rule="arcface", margin=0.3, scale=8.0)
        assert (head.head.margin, head.head.scale, head.scale) == (0.3, 8.0, 8.0)
        assert PartialFC(9, rule="arcface").head.margin == 0.5

    def test_a_rule_without_margin_leaves_it_out(self):
        assert PartialFC(9, rule="normface", margin=0.3).margin is None

    def test_a_rule_may_be_described_as_in_a_preset(self):
        head = PartialFC(9, rule={"name": "arcface", "margin": 0.2, "beyond_pi": "easy"})
        assert isinstance(head.head, ArcFace) and head.head.beyond_pi == "easy"
        again = PartialFC.from_config(head.get_config())
        assert again.head.get_config() == head.head.get_config()

    @pytest.mark.parametrize("rule", ["softmax", "l2_softmax", "subcenter_arcface", "partial_fc"])
    def test_a_head_without_plain_cosines_is_refused(self, rule):
        with pytest.raises(ValueError, match=f"one plain cosine per class.*Received: '{rule}'"):
            PartialFC(9, rule=rule)

    def test_an_unknown_rule_is_refused(self):
        with pytest.raises(ValueError, match="Did you mean 'arcface'"):
            PartialFC(9, rule="arcfaces")

    @pytest.mark.parametrize("sample_rate", [0.0, 1.1, float("nan")])
    def test_sample_rate_out_of_range_is_refused(self, sample_rate):
        with pytest.raises(ValueError, match=r"sample_rate must be in \(0, 1\]"):
            PartialFC(9, sample_rate=sample_rate)

    def test_a_rate_sees_one_class_at_least(self):
        assert PartialFC(9, sample_rate=0.001).num_sample == 1


class TestModel:
    def compiled(self):
        model = small_model(PartialFC(40, rule="adaface", sample_rate=0.25, scale=8.0))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss)
        return model

    @pytest.mark.slow
    def test_it_learns_and_evaluates(self):
        model, label = self.compiled(), np.arange(8, dtype="int32")
        before = model.evaluate(images(8), label, verbose=0, return_dict=True)["loss"]
        model.fit(images(8), label, epochs=30, verbose=0)
        after = model.evaluate(images(8), label, verbose=0, return_dict=True)
        assert after["loss"] < before - 1.0

    def test_a_loaded_model_draws_what_the_saved_one_would_have(self, tmp_path):
        model = self.compiled()
        model.fit(images(8), np.arange(8), epochs=2, verbose=0)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        drawn = [seen_classes(one.head, np.arange(3))[0].tolist() for one in (model, again)]
        assert drawn[0] == drawn[1]
        assert drawn[0] != seen_classes(self.compiled().head, np.arange(3))[0].tolist()

    def test_a_preset_describes_it(self, tmp_path):
        rule = {"name": "arcface", "beyond_pi": "easy"}
        head = facezoo.create_head("partial_fc", num_classes=30, rule=rule, margin=0.2)
        backbone = facezoo.backbones.MobileFaceNet(**facezoo.backbones.MobileFaceNet.TINY)
        described = describe(facezoo.create_model(backbone, embedding_dim=4, head=head))
        assert described["head"]["name"] == "partial_fc"
        presets.save(tmp_path, described)
        again = facezoo.FaceModel.from_preset(tmp_path).head
        assert again.head.get_config() == head.head.get_config()
