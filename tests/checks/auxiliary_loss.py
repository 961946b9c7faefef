"""What every loss with weights of its own must do; its oracle takes the same batches in order."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import facezoo
from tests.checks import assert_config_is_whole, file_name, golden, oracle, precision
from tests.oracles import points
from tests.small_model import images, small_model

_REPOSITORY = Path(__file__).parents[2]
NUM_CLASSES = 5
EMBEDDING = points.head_embedding().astype("float32")
NORM = points.head_norm().astype("float32")
LABEL = np.array([0, 0, 1, 1, 1, 2], "int32")
DIM = EMBEDDING.shape[1]
POLICIES = {
    "float16": tf.float16,
    "bfloat16": tf.bfloat16,
    "mixed_float16": tf.float16,
    "float32": tf.float32,
    "float64": tf.float64,
}


def _loss(cls, **arguments):
    loss = cls(**{**cls.TINY, **arguments})
    loss.build((None, DIM))
    return loss


def _state(loss):
    return {weight.name: np.float64(weight) for weight in loss.weights}


def _batches(count):
    """Different ones; the sizes differ as well."""
    for step in range(count):
        rows = slice(0, len(LABEL) - step % 2)
        yield np.roll(EMBEDDING, step, axis=1)[rows], NORM[rows] + step, np.roll(LABEL, step)[rows]


def _after_a_step(cls):
    loss = _loss(cls)
    loss(EMBEDDING, NORM, LABEL, training=True)
    return loss


def _gradient(loss, embedding, norm, label, training=False):
    inputs = [tf.convert_to_tensor(embedding), tf.convert_to_tensor(norm)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = tf.reduce_mean(loss(*inputs, label, training=training))
    return value, tape.gradient(value, inputs, unconnected_gradients="zero")


def check_declares_source(cls):
    assert len(cls.SOURCE) > 10


def check_returns_per_sample_values(cls):
    values = _loss(cls)(EMBEDDING, NORM, LABEL)
    assert values.shape == LABEL.shape
    assert values.dtype == tf.float32


def check_equals_oracle(cls):
    loss = _loss(cls)
    batches = list(_batches(5))
    expected, state = oracle(cls).steps(batches, loss.get_config(), _state(loss))
    for batch, wanted in zip(batches, expected, strict=True):
        np.testing.assert_allclose(loss(*batch, training=True), wanted, rtol=1e-5, atol=1e-5)
    for name, wanted in state.items():
        np.testing.assert_allclose(_state(loss)[name], wanted, rtol=1e-5, atol=1e-6)


def check_golden_values(cls):
    for case in golden(file_name(cls))["cases"]:
        loss = _loss(cls, **case["arguments"])
        for weight in loss.weights:
            weight.assign(tf.zeros_like(weight.value))
        for wanted, batch in zip(case["means"], _batches(len(case["means"])), strict=True):
            value, (gradient, _) = _gradient(loss, *batch, training=True)
            # Above 8 two float32 neighbours are 9.5e-7 apart.
            assert float(value) == pytest.approx(wanted, abs=1e-6, rel=5e-7), case["arguments"]
        assert np.abs(gradient).sum() == pytest.approx(case["gradient_l1"], abs=1e-5)
        for name, wanted in case.get("state", {}).items():
            np.testing.assert_allclose(_state(loss)[name], wanted, atol=1e-6)


def check_gradient_equals_finite_differences(cls):
    loss, step = _after_a_step(cls), 1e-2
    rng = np.random.default_rng(4)
    for _ in range(5):
        way = rng.normal(size=EMBEDDING.shape).astype("float32")
        _, (found, _) = _gradient(loss, EMBEDDING, NORM, LABEL)
        above, below = (
            float(_gradient(loss, EMBEDDING + sign * step * way, NORM, LABEL)[0])
            for sign in (1, -1)
        )
        assert np.sum(found * way) == pytest.approx(
            (above - below) / (2 * step), rel=1e-2, abs=1e-3
        )


def check_state_moves_in_training_only(cls):
    loss = _loss(cls)
    before = _state(loss)
    loss(EMBEDDING, NORM, LABEL)
    for name, value in _state(loss).items():
        np.testing.assert_array_equal(value, before[name])
    loss(EMBEDDING, NORM, LABEL, training=True)
    after = _state(loss)
    assert any(np.any(after[name] != before[name]) for name in before)


def check_state_is_not_trained_by_gradients(cls):
    loss = _loss(cls)
    assert loss.trainable_weights == []
    assert loss.non_trainable_weights


def check_state_depends_on_the_batch_not_on_its_gradient(cls):
    """The same step from inside a tape and from outside."""
    inside, outside = _loss(cls), _loss(cls)
    outside.set_weights(inside.get_weights())
    _gradient(inside, EMBEDDING, NORM, LABEL, training=True)
    outside(EMBEDDING, NORM, LABEL, training=True)
    for name, value in _state(inside).items():
        np.testing.assert_array_equal(value, _state(outside)[name])


def _assert_finite(cls, label=LABEL, embedding=EMBEDDING, norm=NORM, dtypes=POLICIES):
    for policy, dtype in dtypes.items():
        with precision(policy):
            loss = _loss(cls)
            for training in (True, True, False):
                inputs = tf.cast(embedding, dtype), tf.cast(norm, dtype), label
                value, gradients = _gradient(loss, *inputs, training)
                assert value.dtype == tf.float32
                for one in (value, *gradients, *loss.weights):
                    assert np.all(np.isfinite(np.float64(one))), (policy, training, one)


def check_finite_when_all_labels_are_equal(cls):
    _assert_finite(cls, 0 * LABEL)


def check_finite_when_all_labels_differ(cls):
    _assert_finite(cls, np.arange(len(LABEL)))


def check_finite_for_batch_of_1(cls):
    _assert_finite(cls, LABEL[:1], EMBEDDING[:1], NORM[:1])


def check_finite_at_equal_points(cls):
    _assert_finite(cls, embedding=np.repeat(EMBEDDING[:1], len(LABEL), axis=0))


def check_finite_at_opposite_points(cls):
    signs = np.resize([1.0, -1.0], len(LABEL))
    _assert_finite(cls, embedding=signs[:, None] * EMBEDDING[:1])


def check_finite_at_zero_vector(cls):
    _assert_finite(cls, embedding=0.0 * EMBEDDING, norm=0.0 * NORM)


def check_finite_at_norm_1e4(cls):
    """In float32, as `FaceModel` has them under every policy: float16 cannot hold the gradient."""
    dtypes = dict.fromkeys(POLICIES, tf.float32)
    _assert_finite(cls, norm=0.0 * NORM + 1e4, dtypes=dtypes)


def check_same_values_under_every_precision_policy(cls):
    trained = _after_a_step(cls)
    expected = trained(EMBEDDING, NORM, LABEL)
    for policy in POLICIES:
        with precision(policy):
            loss = _loss(cls)
            loss.set_weights(trained.get_weights())
            values = loss(EMBEDDING, NORM, LABEL)
        assert values.dtype == tf.float32
        assert all(weight.dtype in ("float32", "int32") for weight in loss.weights)
        np.testing.assert_array_equal(values, expected)


def check_batch_order_does_not_matter(cls):
    order = np.random.default_rng(2).permutation(len(LABEL))
    loss = _after_a_step(cls)
    expected = loss(EMBEDDING, NORM, LABEL).numpy()[order]
    np.testing.assert_allclose(loss(EMBEDDING[order], NORM[order], LABEL[order]), expected, 1e-5)


def check_label_forms(cls):
    loss = _after_a_step(cls)
    expected = loss(EMBEDDING, NORM, LABEL)
    for label in (LABEL[:, None], np.eye(5)[LABEL], LABEL.astype("int64"), np.float32(LABEL)):
        np.testing.assert_array_equal(loss(EMBEDDING, NORM, label), expected)


def check_bad_label_shape_raises(cls):
    with pytest.raises(ValueError, match=r"y_true must hold .* shape \(2, 2, 2\)"):
        _loss(cls)(EMBEDDING[:2], NORM[:2], np.zeros((2, 2, 2)))


def check_bad_weight_raises(cls):
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="weight must be 0 or more. Received: weight="):
            _loss(cls, weight=weight)


def check_unknown_batch_size(cls):
    signature = [
        tf.TensorSpec([None, DIM]),
        tf.TensorSpec([None]),
        tf.TensorSpec([None], tf.int32),
    ]
    loss, expected = _loss(cls), _loss(cls)
    expected.set_weights(loss.get_weights())
    compiled = tf.function(lambda *batch: loss(*batch, training=True), input_signature=signature)
    for batch in _batches(2):
        np.testing.assert_allclose(compiled(*batch), expected(*batch, training=True), atol=1e-5)


@pytest.mark.slow
def check_compiled_by_xla(cls):
    """`fit` compiles with XLA, where 0 * inf in a gradient is NaN: two points are equal."""
    embedding = EMBEDDING.copy()
    embedding[1] = embedding[0]
    plain, fast = _loss(cls), _loss(cls)
    fast.set_weights(plain.get_weights())
    compiled = tf.function(_gradient, jit_compile=True, reduce_retracing=False)
    for _ in range(2):
        value, gradients = _gradient(plain, embedding, NORM, LABEL, True)
        found, found_gradients = compiled(fast, embedding, NORM, LABEL, True)
        np.testing.assert_allclose(found, value, rtol=1e-5)
        for one, wanted in zip(found_gradients, gradients, strict=True):
            np.testing.assert_allclose(one, wanted, atol=1e-4)


def check_config_round_trip(cls):
    loss = _loss(cls)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    assert_config_is_whole(cls, loss.get_config())


def _model(loss, head=None):
    base = small_model(head)
    return facezoo.FaceModel(base.backbone, base.embedding, head, auxiliary_loss=loss)


def check_the_only_loss_of_a_model(cls):
    """And its state comes back with the model."""
    model, image = _model(_loss(cls)), images(len(LABEL))
    model.compile(keras.optimizers.SGD(0.01), loss=None)
    before, output = model.get_weights(), model(image)
    wanted = _loss(cls)
    wanted.set_weights(model.auxiliary_loss.get_weights())
    value = float(tf.reduce_mean(wanted(*output.values(), LABEL, training=True)))
    logs = model.train_on_batch(image, LABEL, return_dict=True)
    assert logs["loss"] == pytest.approx(model.auxiliary_loss.weight * value, rel=1e-4, abs=1e-6)
    for _ in range(2):
        model.train_on_batch(image, LABEL)
    moved = [np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True)]
    assert all(moved[: len(model.trainable_weights)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        again = keras.models.load_model(path)
    for name, value in _state(model.auxiliary_loss).items():
        np.testing.assert_array_equal(value, _state(again.auxiliary_loss)[name], err_msg=name)
    assert again.auxiliary_loss.get_config() == model.auxiliary_loss.get_config()


def check_added_to_the_compiled_loss(cls):
    """With its weight and the samples' weights."""
    head = facezoo.create_head("cosface", num_classes=NUM_CLASSES, scale=4.0)
    model, image = _model(_after_a_step(cls), head), images(len(LABEL))
    weight = np.linspace(0.0, 2.0, len(LABEL)).astype("float32")
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=cross_entropy)
    output = model(image)
    found = model.compute_loss(image, LABEL, output, weight, training=False)
    values = model.auxiliary_loss(*output.values(), LABEL)
    wanted = float(cross_entropy(LABEL, head(*output.values(), LABEL), weight))
    wanted += model.auxiliary_loss.weight * float(tf.reduce_mean(weight * values))
    assert float(found) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
def check_replicas_train_as_one_device(cls):
    for num_replicas in (2, 4):
        command = ["tests.checks.auxiliary_loss_replicas", file_name(cls), str(num_replicas)]
        process = subprocess.run(
            [sys.executable, "-m", *command],
            capture_output=True,
            text=True,
            cwd=_REPOSITORY,
            check=False,
        )
        assert process.returncode == 0, process.stderr[-2000:]
        single, several = json.loads(process.stdout.splitlines()[-1])
        assert several["num_replicas"] == num_replicas
        np.testing.assert_allclose(several["loss"], single["loss"], rtol=1e-5)
        np.testing.assert_allclose(several["weights"], single["weights"], rtol=1e-5, atol=1e-6)
