"""What every head must do, whatever its margin."""

import inspect
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.checks import assert_config_is_whole, file_name, golden, oracle, precision
from tests.oracles import points

DIM = points.head_embedding().shape[1]
NUM_CLASSES = points.head_centers().shape[1]
EMBEDDING = points.head_embedding().astype("float32")
NORM = np.linspace(0.5, 30.0, len(EMBEDDING)).astype("float32")
LABEL = points.HEAD_LABEL.astype("int32")


def _head(cls, **arguments):
    head = cls(**{**cls.TINY, "num_classes": NUM_CLASSES, **arguments})
    head.build((None, DIM))
    head.centers.assign(points.head_centers())
    return head


def _cosine(embedding=EMBEDDING):
    centers = points.head_centers()
    cosine = np.float64(embedding) @ (centers / np.linalg.norm(centers, axis=0))
    return np.clip(cosine, -1.0, 1.0)


def _cross_entropy(label, logits):
    return keras.ops.mean(
        keras.losses.sparse_categorical_crossentropy(label, logits, from_logits=True)
    )


def check_declares_source(cls):
    assert len(cls.SOURCE) > 10


def check_shape_of_logits(cls):
    for size in (1, 6):
        logits = _head(cls)(EMBEDDING[:size], NORM[:size], LABEL[:size])
        assert logits.shape == (size, NUM_CLASSES)


def check_unknown_batch_size(cls):
    head = _head(cls)
    signature = [
        tf.TensorSpec([None, DIM]),
        tf.TensorSpec([None]),
        tf.TensorSpec([None], tf.int32),
    ]
    compiled = tf.function(head.call, input_signature=signature)
    np.testing.assert_allclose(
        compiled(EMBEDDING, NORM, LABEL), head(EMBEDDING, NORM, LABEL), rtol=1e-5, atol=1e-5
    )


def check_only_target_column_changes(cls):
    head = _head(cls)
    other = np.arange(NUM_CLASSES)[None, :] != LABEL[:, None]
    logits = head(EMBEDDING, NORM, LABEL).numpy()
    np.testing.assert_allclose(logits[other], head.scale * _cosine()[other], rtol=1e-4, atol=1e-4)


def check_target_never_rises(cls):
    head = _head(cls)
    target = np.arange(NUM_CLASSES)[None, :] == LABEL[:, None]
    logits = head(EMBEDDING, NORM, LABEL).numpy()
    assert np.all(logits[target] <= head.scale * _cosine()[target] + 1e-4)


def check_margin_0_is_normface(cls):
    arguments = {"margin": 0.0} if "margin" in inspect.signature(cls).parameters else {}
    head = _head(cls, **arguments)
    logits = head(EMBEDDING, NORM, LABEL)
    np.testing.assert_allclose(logits, head.scale * _cosine(), rtol=1e-4, atol=1e-4)


def check_equals_oracle(cls):
    head = _head(cls)
    expected = oracle(cls).logits(_cosine(), NORM, LABEL, head.get_config())
    np.testing.assert_allclose(head(EMBEDDING, NORM, LABEL), expected, rtol=1e-5, atol=1e-4)


def check_golden_cross_entropy(cls):
    for case in golden(file_name(cls))["cases"]:
        logits = _head(cls, **case["arguments"])(EMBEDDING, NORM, LABEL)
        value = float(_cross_entropy(LABEL, logits))
        assert value == pytest.approx(case["cross_entropy"], rel=1e-6), case


def _assert_finite_at_cosine(cls, sign):
    head = _head(cls)
    centers = points.head_centers()[:, LABEL].T
    embedding = tf.constant(sign * centers / np.linalg.norm(centers, axis=1)[:, None], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(embedding)
        loss = _cross_entropy(LABEL, head(embedding, NORM, LABEL))
    for gradient in tape.gradient(loss, [embedding, *head.trainable_weights]):
        assert np.all(np.isfinite(gradient))


def check_finite_gradient_at_cosine_1(cls):
    _assert_finite_at_cosine(cls, 1.0)


def check_finite_gradient_at_cosine_minus_1(cls):
    _assert_finite_at_cosine(cls, -1.0)


def check_finite_gradient_of_zero_embedding(cls):
    head, embedding = _head(cls), tf.zeros_like(EMBEDDING)
    with tf.GradientTape() as tape:
        tape.watch(embedding)
        loss = _cross_entropy(LABEL, head(embedding, 0.0 * NORM, LABEL))
    assert np.all(np.isfinite(tape.gradient(loss, embedding)))


def check_centers_learn(cls):
    head = _head(cls)
    with tf.GradientTape() as tape:
        loss = _cross_entropy(LABEL, head(EMBEDDING, NORM, LABEL))
    gradient = tape.gradient(loss, head.centers).numpy()
    assert np.all(np.any(gradient != 0.0, axis=0))


def check_label_outside_is_masked(cls):
    head = _head(cls)
    for outside in (-1, NUM_CLASSES):
        label = LABEL.copy()
        label[2] = outside
        logits = head(EMBEDDING, NORM, label).numpy()
        np.testing.assert_allclose(logits[2], head.scale * _cosine()[2], rtol=1e-4, atol=1e-4)
        expected = head(EMBEDDING, NORM, LABEL).numpy()
        np.testing.assert_allclose(logits[[0, 1, 3]], expected[[0, 1, 3]], rtol=1e-5, atol=1e-5)


def check_float32_under_mixed_precision(cls):
    expected = _head(cls)(EMBEDDING, NORM, LABEL)
    for policy in ("mixed_float16", "mixed_bfloat16"):
        with precision(policy):
            head = _head(cls)
            logits = head(EMBEDDING, NORM, LABEL)
        assert logits.dtype == tf.float32
        assert all(weight.dtype == "float32" for weight in head.weights)
        np.testing.assert_array_equal(logits, expected)


def check_config_round_trip(cls):
    head = _head(cls)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    assert_config_is_whole(cls, head.get_config())


def check_state_saved_and_restored(cls):
    shapes = {"embedding": (DIM,), "norm": (), "label": ()}
    inputs = {
        name: keras.Input(shape, dtype="int32" if name == "label" else "float32", name=name)
        for name, shape in shapes.items()
    }
    head = _head(cls)
    model = keras.Model(inputs, head(**inputs))
    batch = {"embedding": EMBEDDING, "norm": NORM, "label": LABEL}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.keras"
        model.save(path)
        again = keras.models.load_model(path)
    np.testing.assert_array_equal(again(batch), model(batch))


def check_bad_num_classes_raises(cls):
    with pytest.raises(ValueError, match="num_classes must be at least 1"):
        cls(**{**cls.TINY, "num_classes": 0})


def check_bad_scale_raises(cls):
    with pytest.raises(ValueError, match="scale must be above 0"):
        cls(**{**cls.TINY, "scale": 0.0})
