"""Concat-train: several heads side by side are exactly each set's own head, on any rows."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from facezoo import create_head, registry
from facezoo.heads import ConcatHead, PartialFC
from facezoo.mining import LabelSets
from facezoo.models import ClassAccuracy
from tests.small_model import images, small_model

REPOSITORY = Path(__file__).parents[1]
DIM, SIZES = 4, (5, 3)
# Rows of both sets, mixed.
LABEL = np.array([0, 6, 4, 5, 7, 1, 1], "int32")
OWNER = (LABEL >= SIZES[0]).astype(int)
RNG = np.random.default_rng(3)
EMBEDDING = RNG.normal(size=(len(LABEL), DIM)).astype("float32")
EMBEDDING /= np.linalg.norm(EMBEDDING, axis=1, keepdims=True)
NORM = RNG.uniform(8.0, 30.0, len(LABEL)).astype("float32")


def made(name, num_classes, seed=0):
    cls, _ = registry.get("head", name)
    head = cls(**{**cls.TINY, "num_classes": num_classes})
    head.build((None, DIM))
    head.centers.assign(np.random.default_rng(seed).normal(size=head.centers.shape))
    return head


def pair(name):
    return [made(name, SIZES[0], seed=1), made("cosface", SIZES[1], seed=2)]


def concat(heads, **options):
    head = ConcatHead(heads, **options)
    head.build((None, DIM))
    return head


def losses(head, embedding, norm, label, training):
    logits = head(embedding, norm, label, training=training)
    column = head.columns(label, training)
    values = keras.losses.sparse_categorical_crossentropy(column, logits, from_logits=True)
    penalty = head.penalty(norm, label)
    return values if penalty is None else values + penalty


def step(head, rows, label, training=True):
    """Losses, and the gradients of their sum by embedding, norm and weights."""
    embedding, norm = tf.constant(EMBEDDING[rows]), tf.constant(NORM[rows])
    with tf.GradientTape() as tape:
        tape.watch([embedding, norm])
        values = losses(head, embedding, norm, label, training)
        total = tf.reduce_sum(values)
    sources = [embedding, norm, *(weight.value for weight in head.trainable_weights)]
    gradients = tape.gradient(total, sources, unconnected_gradients="zero")
    return values, [tf.convert_to_tensor(one).numpy() for one in gradients]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", registry.parts("head"))
def test_every_head_is_as_if_alone(name, training):
    """Losses, gradients and running statistics: rows of the other set leave no trace."""
    heads, alone = pair(name), pair(name)
    values, (by_embedding, by_norm, *by_weight) = step(concat(heads), ..., LABEL, training)
    first_weight = 0
    for place, one in enumerate(alone):
        rows = OWNER == place
        label = LABEL[rows] - place * SIZES[0]
        wanted, (wanted_embedding, wanted_norm, *wanted_weight) = step(one, rows, label, training)
        np.testing.assert_allclose(values[rows], wanted, rtol=1e-6)
        np.testing.assert_allclose(by_embedding[rows], wanted_embedding, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(by_norm[rows], wanted_norm, rtol=1e-5, atol=1e-6)
        for found, expected in zip(by_weight[first_weight:], wanted_weight, strict=False):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        first_weight += len(wanted_weight)
        for found, expected in zip(heads[place].weights, one.weights, strict=True):
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)
    assert first_weight == len(by_weight)


def test_other_sets_are_masked_exactly():
    logits = concat(pair("arcface"))(EMBEDDING, NORM, LABEL).numpy()
    is_foreign = OWNER[:, None] != (np.arange(8) >= SIZES[0])[None, :]
    assert np.all(logits[is_foreign] == -1e9) and np.all(logits[~is_foreign] > -1e3)
    assert np.all(tf.nn.softmax(logits).numpy()[is_foreign] == 0.0)


def test_a_label_of_no_set_masks_nothing():
    head = concat(pair("cosface"))
    label = np.full(len(LABEL), -1, "int32")
    plain = [one(EMBEDDING, NORM, label) for one in head.heads]
    np.testing.assert_array_equal(head(EMBEDDING, NORM, label), np.concatenate(plain, axis=1))
    assert np.all(head.columns(np.array([-1, 8])).numpy() == -1)


class TestAcrossSets:
    def test_all_columns_count_but_those_of_duplicates(self):
        options = {"cross_set_negatives": True, "duplicates": [(0, 6), (7, 0)]}
        logits = concat(pair("cosface"), **options)(EMBEDDING, NORM, LABEL).numpy()
        wanted = np.ones((len(LABEL), 8), bool)
        wanted[0, [6, 7]] = wanted[1, 0] = wanted[4, 0] = False
        np.testing.assert_array_equal(logits > -1e3, wanted)

    def test_duplicates_within_a_set(self):
        logits = concat(pair("cosface"), duplicates=[(0, 4)])(EMBEDDING, NORM, LABEL).numpy()
        assert logits[0, 4] == logits[2, 0] == -1e9 and logits[5, 0] > -1e3

    def test_heads_that_draw_their_columns_take_no_duplicates(self):
        heads = [PartialFC(9, sample_rate=0.5), create_head("cosface", num_classes=3)]
        head = concat(heads, cross_set_negatives=True)
        logits = head(EMBEDDING, NORM, LABEL, training=True).numpy()
        assert logits.shape == (7, 7 + 4 + 3) == (7, head.num_columns(LABEL, training=True))
        assert np.all(logits[:, -3:] > -1e3)
        with pytest.raises(ValueError, match="PartialFC of set '0' draws its columns"):
            ConcatHead(heads, duplicates=[(0, 10)])


def test_only_the_right_head_punishes():
    head = concat([made("cosface", 5), made("magface", 3)])
    found = head.penalty(NORM, LABEL).numpy()
    wanted = head.heads[1].penalty(NORM, LABEL).numpy()
    np.testing.assert_array_equal(found, np.where(OWNER == 1, wanted, 0.0))
    assert concat(pair("arcface")).penalty(NORM, LABEL) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"heads": []}, "heads must be at least one head"),
        ({"heads": [made("cosface", 2)] * 2}, "a different one for each data set"),
        ({"names": ["a"]}, "names must be one for each head"),
        ({"names": ["a", "a"]}, "all different"),
        ({"duplicates": [(0, 8)]}, r"in \[0, 8\). Received: \[0, 8\]"),
        ({"duplicates": [(2, 2)]}, "two different labels"),
        ({"duplicates": [(1, 2, 3)]}, "pairs of two different labels"),
    ],
)
def test_bad_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConcatHead(**{"heads": pair("cosface"), **arguments})


def test_bad_labels_raise():
    with pytest.raises(ValueError, match=r"label must be int \[B\]"):
        concat(pair("cosface"))(EMBEDDING, NORM, LABEL[:, None])


def test_labels_may_be_compared_with_everyone_outside_the_sets():
    found = LabelSets([1, 1], duplicates=[(0, 1)]).is_comparable([0, 2, -1], [0, 1, 2, -1])
    np.testing.assert_array_equal(found, [[1, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]])


def compiled(head):
    model = small_model(head)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss)
    return model


class TestModel:
    def test_all_weights_learn_and_come_back(self, tmp_path):
        options = {"cross_set_negatives": True, "duplicates": [(1, 6)]}
        heads = [
            create_head("curricularface", num_classes=5),
            create_head("adaface", num_classes=3),
        ]
        model = compiled(ConcatHead(heads, ["fiw", "celeba"], **options))
        before = [weight.numpy().copy() for weight in model.head.weights]
        model.fit(images(len(LABEL)), LABEL, verbose=0)
        for weight, start in zip(model.head.weights, before, strict=True):
            assert np.any(weight.numpy() != start), weight.path
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        kept, wanted = again.head.get_config(), model.head.get_config()
        assert [one["config"] for one in kept.pop("heads")] == [
            one["config"] for one in wanted.pop("heads")
        ]
        assert kept == wanted
        np.testing.assert_array_equal(
            again.head(EMBEDDING, NORM, LABEL), model.head(EMBEDDING, NORM, LABEL)
        )

    def test_accuracy_of_every_set(self):
        model = compiled(ConcatHead(pair("cosface"), ["fiw", "celeba"]))
        output = model(images(len(LABEL)))
        logits = model.head(output["embedding"], output["norm"], LABEL).numpy()
        is_correct = logits.argmax(axis=1) == LABEL
        weight = np.linspace(0.0, 2.0, len(LABEL))
        logs = model.evaluate(
            images(len(LABEL)),
            LABEL,
            batch_size=4,
            sample_weight=weight,
            return_dict=True,
            verbose=0,
        )
        wanted = {"class_accuracy": is_correct.mean()}
        for place, name in enumerate(["fiw", "celeba"]):
            wanted[f"class_accuracy/{name}"] = is_correct[OWNER == place].mean()
        assert logs.pop("loss") > 0.0
        assert logs == pytest.approx(wanted)

    def test_a_set_without_rows_has_accuracy_0(self):
        metric = ClassAccuracy({"a": (0, 2), "b": (2, 3), "c": (3, 4)})
        metric.update_state(np.array([0, 1, 2, 7]), np.array([True, False, True, True]))
        wanted = {"class_accuracy": 0.75, "class_accuracy/a": 0.5}
        wanted |= {"class_accuracy/b": 1.0, "class_accuracy/c": 0.0}
        assert {name: float(value) for name, value in metric.result().items()} == pytest.approx(
            wanted
        )

    def test_the_gradient_of_the_trunk_is_the_weighted_sum(self):
        """Heads of other kinds and sizes; loss weights 0.3 and 0.7, in sets of 4 and 3 rows."""
        model = compiled(ConcatHead(pair("arcface")))
        image = images(len(LABEL))
        factor = np.array([0.3 / 4, 0.7 / 3], "float32")[OWNER] * len(LABEL)

        def trunk_gradient(loss):
            with tf.GradientTape() as tape:
                value = loss(model(image))
            return tape.gradient(value, model.backbone.trainable_variables)

        found = trunk_gradient(lambda y: model.compute_loss(image, LABEL, y, factor))
        parts = [
            trunk_gradient(
                lambda y, place=place: tf.reduce_mean(
                    losses(
                        model.head.heads[place],
                        tf.boolean_mask(y["embedding"], OWNER == place),
                        tf.boolean_mask(y["norm"], OWNER == place),
                        LABEL[OWNER == place] - place * SIZES[0],
                        training=True,
                    )
                )
            )
            for place in (0, 1)
        ]
        for value, first, second in zip(found, *parts, strict=True):
            wanted = 0.3 * first + 0.7 * second
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("num_replicas", [2, 4])
def test_replicas_train_as_one_device(num_replicas):
    """Rows r::n on replica r: the gradients of one device, and its accuracies."""
    command = [sys.executable, "-m", "tests.checks.concat_replicas", str(num_replicas)]
    process = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    found = json.loads(process.stdout.splitlines()[-1])
    for name in ("single", "several"):
        np.testing.assert_allclose(found[name]["gradient"], found["wanted"], rtol=1e-5, atol=1e-7)
    assert found["several"]["logs"] == pytest.approx(found["single"]["logs"])
    assert set(found["single"]["logs"]) == {
        "class_accuracy",
        "class_accuracy/fiw",
        "class_accuracy/celeba",
    }
    np.testing.assert_allclose(
        found["several"]["statistics"], found["single"]["statistics"], rtol=1e-6
    )
