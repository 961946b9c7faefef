"""What every loss on embeddings must do, whatever it pulls and pushes."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.checks import assert_config_is_whole, file_name, golden, oracle
from tests.oracles import points

_REPOSITORY = Path(__file__).parents[2]
LABEL = points.LABEL
POINTS = points.s1()


def _loss(cls, **arguments):
    return cls(**{**cls.TINY, **arguments})


def _samples(cls, label=LABEL, embedding=POINTS):
    return _loss(cls, reduction="none")(label, embedding).numpy()


def _value_and_gradient(loss, label, embedding):
    embedding = tf.convert_to_tensor(embedding)
    with tf.GradientTape() as tape:
        tape.watch(embedding)
        value = loss(label, embedding)
    return float(value), tape.gradient(value, embedding).numpy()


def check_declares_source(cls):
    assert len(cls.SOURCE) > 10


def check_returns_per_sample_values(cls):
    values = _loss(cls).call(tf.constant(LABEL), tf.constant(POINTS, tf.float32))
    assert values.shape == (len(LABEL),)
    assert values.dtype == tf.float32


def check_equals_oracle(cls):
    rng = np.random.default_rng(1)
    config = _loss(cls).get_config()
    for size in (2, 7, 20):
        label, embedding = rng.integers(0, 4, size), rng.normal(size=(size, 5))
        expected = oracle(cls).per_sample(label, embedding, config)
        np.testing.assert_allclose(_samples(cls, label, embedding), expected, rtol=1e-4, atol=1e-5)


def check_golden_values(cls):
    for case in golden(file_name(cls))["cases"]:
        embedding = getattr(points, case["points"])().astype("float32")
        loss = _loss(cls, **case["arguments"])
        value, gradient = _value_and_gradient(loss, LABEL, embedding)
        assert value == pytest.approx(case["value"], abs=1e-6), case
        if "gradient_l1" in case:
            # tensorflow-addons' gradients are themselves off by 5e-6 where two points are near.
            total = pytest.approx(case["gradient_l1"], rel=1e-5, abs=1e-5)
            assert np.abs(gradient).sum() == total, case
            assert gradient[0, 0] == pytest.approx(case["gradient_first"], abs=1e-5), case


def check_gradient_equals_finite_differences(cls):
    config, step = _loss(cls).get_config(), 1e-6
    numeric = np.zeros_like(POINTS)
    for index in np.ndindex(POINTS.shape):
        moved = np.zeros_like(POINTS)
        moved[index] = step
        above, below = (
            oracle(cls).per_sample(LABEL, POINTS + way * moved, config).mean() for way in (1, -1)
        )
        numeric[index] = (above - below) / (2 * step)
    _, gradient = _value_and_gradient(_loss(cls), LABEL, np.float32(POINTS))
    np.testing.assert_allclose(gradient, numeric, atol=1e-5)


def _assert_finite(cls, label, embedding):
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        value, gradient = _value_and_gradient(
            _loss(cls), np.array(label), tf.cast(np.array(embedding), dtype)
        )
        assert np.isfinite(value), dtype
        assert np.all(np.isfinite(gradient.astype("float32"))), dtype


def check_finite_when_all_labels_are_equal(cls):
    _assert_finite(cls, 0 * LABEL, POINTS)


def check_finite_when_all_labels_differ(cls):
    _assert_finite(cls, np.arange(len(LABEL)), POINTS)


def check_finite_for_batch_of_1(cls):
    _assert_finite(cls, LABEL[:1], POINTS[:1])


def check_finite_at_equal_points(cls):
    _assert_finite(cls, LABEL, np.repeat(POINTS[:1], len(LABEL), axis=0))


def check_finite_at_opposite_points(cls):
    signs = np.resize([1.0, -1.0], len(LABEL))
    _assert_finite(cls, LABEL, signs[:, None] * POINTS[:1])


def check_finite_at_zero_vector(cls):
    _assert_finite(cls, LABEL, np.where(np.arange(len(LABEL))[:, None] < 2, 0.0, POINTS))


def check_finite_at_norm_10000(cls):
    _assert_finite(cls, LABEL, 1e4 * POINTS)


def check_finite_at_equal_points_without_negatives(cls):
    _assert_finite(cls, 0 * LABEL, np.repeat(POINTS[:1], len(LABEL), axis=0))


def check_finite_at_zero_vectors_only(cls):
    _assert_finite(cls, LABEL, 0 * POINTS)


def check_batch_order_does_not_matter(cls):
    order = np.random.default_rng(2).permutation(len(LABEL))
    np.testing.assert_allclose(
        _samples(cls, LABEL[order], POINTS[order]), _samples(cls)[order], atol=1e-6
    )


def check_perfect_below_random_below_worst(cls):
    perfect = np.eye(4)[LABEL]
    # Both poles of one axis, and every identity on both of them.
    label, worst = np.array([0, 0, 1, 1]), np.array([[1.0], [-1.0], [1.0], [-1.0]])
    values = [_samples(cls, LABEL, x).mean() for x in (perfect, POINTS)]
    values.append(_samples(cls, label, worst).mean())
    assert values == sorted(set(values)), values


def check_sample_weight(cls):
    weight = np.random.default_rng(3).uniform(0.0, 2.0, len(LABEL)).astype("float32")
    value = float(_loss(cls)(LABEL, POINTS, sample_weight=weight))
    assert value == pytest.approx(np.mean(weight * _samples(cls)), rel=1e-5)


def check_reductions(cls):
    samples = _samples(cls)
    for reduction, expected in (("sum", samples.sum()), ("sum_over_batch_size", samples.mean())):
        value = float(_loss(cls, reduction=reduction)(LABEL, POINTS))
        assert value == pytest.approx(expected, rel=1e-5), reduction


def check_every_float_dtype(cls):
    expected, _ = _value_and_gradient(_loss(cls), LABEL, np.float32(POINTS))
    for dtype in (tf.float16, tf.bfloat16, tf.float64):
        value, gradient = _value_and_gradient(_loss(cls), LABEL, tf.cast(POINTS, dtype))
        assert value == pytest.approx(expected, rel=0.05), dtype
        assert np.all(np.isfinite(gradient.astype("float32"))), dtype


def check_label_forms(cls):
    expected = _samples(cls)
    for label in (LABEL[:, None], np.eye(5)[LABEL], LABEL.astype("int64"), LABEL.tolist()):
        np.testing.assert_array_equal(_samples(cls, label), expected)


def check_bad_label_shape_raises(cls):
    with pytest.raises(ValueError, match=r"y_true must hold .* shape \(2, 2, 2\)"):
        _samples(cls, np.zeros((2, 2, 2)), np.zeros((2, 3)))


def check_unknown_batch_size(cls):
    signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None])]
    compiled = tf.function(_loss(cls, reduction="none").__call__, input_signature=signature)
    for size in (1, len(LABEL)):
        label, embedding = LABEL[:size].astype("int32"), np.float32(POINTS[:size])
        np.testing.assert_allclose(
            compiled(label, embedding), _samples(cls, label, embedding), atol=1e-6
        )


@pytest.mark.slow
def check_compiled_by_xla(cls):
    """`fit` compiles with XLA, where 0 * inf in a gradient is NaN: two points are equal."""
    embedding = np.float32(POINTS)
    embedding[1] = embedding[0]

    @tf.function(jit_compile=True)
    def compiled(embedding):
        with tf.GradientTape() as tape:
            tape.watch(embedding)
            value = _loss(cls)(LABEL, embedding)
        return value, tape.gradient(value, embedding)

    value, gradient = _value_and_gradient(_loss(cls), LABEL, embedding)
    found_value, found_gradient = compiled(tf.constant(embedding))
    np.testing.assert_allclose(found_value, value, rtol=1e-5)
    np.testing.assert_allclose(found_gradient, gradient, atol=1e-4)


def check_config_round_trip(cls):
    loss = _loss(cls)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert_config_is_whole(cls, loss.get_config())


def _assert_replicas_do_not_matter(cls, num_replicas):
    command = [sys.executable, "-m", "tests.checks.replicas", file_name(cls), str(num_replicas)]
    process = subprocess.run(command, capture_output=True, text=True, cwd=_REPOSITORY, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    single, several = json.loads(process.stdout.splitlines()[-1])
    assert several["num_replicas"] == num_replicas
    np.testing.assert_allclose(several["loss"], single["loss"], rtol=1e-5)
    np.testing.assert_allclose(several["weights"], single["weights"], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def check_two_replicas_train_as_one_device(cls):
    _assert_replicas_do_not_matter(cls, 2)


@pytest.mark.slow
def check_four_replicas_train_as_one_device(cls):
    _assert_replicas_do_not_matter(cls, 4)
