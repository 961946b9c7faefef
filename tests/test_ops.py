"""Tensor maths against NumPy float64, and finite where the plain formulas are not."""

import numpy as np
import pytest
import tensorflow as tf

from facezoo import ops
from tests.oracles import distances as oracle

POINTS = np.random.default_rng(0).normal(size=(9, 5))


def _gradient(function, x):
    """The gradient as XLA computes it: plain TensorFlow hides some 0 * inf."""

    @tf.function(jit_compile=True)
    def compiled(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(function(x))
        return tape.gradient(value, x)

    return compiled(tf.constant(x, tf.float32)).numpy()


def test_safe_sqrt_is_the_square_root():
    x = np.array([0.0, 1e-30, 0.25, 9.0, 1e30], "float32")
    np.testing.assert_allclose(ops.safe_sqrt(x), np.sqrt(x), rtol=1e-6)


def test_safe_sqrt_has_gradient_0_at_0():
    np.testing.assert_allclose(_gradient(ops.safe_sqrt, [0.0, 0.25, 4.0]), [0.0, 1.0, 0.25])


def test_l2_normalize_splits_into_direction_and_length():
    embedding, norm = ops.l2_normalize(POINTS)
    expected = np.linalg.norm(POINTS, axis=1)
    np.testing.assert_allclose(norm, expected, rtol=1e-6)
    np.testing.assert_allclose(embedding, POINTS / expected[:, None], rtol=1e-6)


def test_l2_normalize_of_a_zero_vector_is_zero():
    embedding, norm = ops.l2_normalize(np.zeros((2, 3), "float32"))
    np.testing.assert_array_equal(embedding, np.zeros((2, 3)))
    np.testing.assert_array_equal(norm, np.zeros(2))


@pytest.mark.parametrize("part", [0, 1])
def test_l2_normalize_of_a_zero_vector_has_no_gradient(part):
    gradient = _gradient(lambda x: ops.l2_normalize(x)[part], np.zeros((2, 3)))
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))


def test_take_in_row():
    column = np.array([[4, 0], [1, 1], [3, 2]], "int32")
    expected = np.take_along_axis(POINTS[:3], column, axis=1)
    np.testing.assert_array_equal(ops.take_in_row(POINTS[:3], column), expected)


def test_cosine_logits():
    centers = np.random.default_rng(1).normal(size=(5, 4))
    expected = POINTS @ centers / np.linalg.norm(centers, axis=0)
    expected /= np.linalg.norm(POINTS, axis=1)[:, None]
    embedding, _ = ops.l2_normalize(POINTS)
    np.testing.assert_allclose(ops.cosine_logits(embedding, centers), expected, atol=1e-6)


def test_cosine_logits_stay_within_1():
    points = np.random.default_rng(2).normal(size=(2000, 64)).astype("float32")
    embedding, _ = ops.l2_normalize(points)
    assert np.max(ops.cosine_logits(embedding, points.T)) <= 1.0


@pytest.mark.parametrize("metric", ops.DISTANCES)
def test_pairwise_distance(metric):
    expected = [[oracle.distance(a, b, metric) for b in POINTS] for a in POINTS]
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-7)):
        found = ops.pairwise_distance(metric)(POINTS.astype(dtype))
        np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.parametrize("metric", ops.DISTANCES)
def test_pairwise_distance_of_unknown_batch_size(metric):
    function = ops.pairwise_distance(metric)
    compiled = tf.function(function, input_signature=[tf.TensorSpec([None, None], tf.float64)])
    np.testing.assert_allclose(compiled(POINTS), function(POINTS), atol=1e-12)


@pytest.mark.parametrize("metric", ops.DISTANCES)
def test_pairwise_distance_to_itself_is_exactly_0_and_none_is_below(metric):
    points = 300.0 + POINTS.astype("float32")
    distances = ops.pairwise_distance(metric)(points).numpy()
    np.testing.assert_array_equal(np.diag(distances), np.zeros(len(points)))
    assert np.all(distances >= 0.0)


@pytest.mark.parametrize("metric", ops.DISTANCES)
def test_pairwise_distance_of_equal_points_has_a_finite_gradient(metric):
    gradient = _gradient(ops.pairwise_distance(metric), np.repeat(POINTS[:1], 3, axis=0))
    assert np.all(np.isfinite(gradient))


def test_pairwise_distance_may_be_a_function():
    assert ops.pairwise_distance(len) is len


@pytest.mark.parametrize("metric", ops.DISTANCES)
def test_cross_distance(metric):
    others = np.random.default_rng(3).normal(size=(4, 5))
    expected = [[oracle.distance(a, b, metric) for b in others] for a in POINTS]
    for dtype, tolerance in (("float16", 0.02), ("float32", 1e-5), ("float64", 1e-7)):
        found = ops.cross_distance(metric)(POINTS.astype(dtype), others.astype(dtype))
        np.testing.assert_allclose(found, expected, atol=tolerance)
        assert found.dtype == ("float32" if dtype == "float16" else dtype)


@pytest.mark.parametrize("metric", ops.DISTANCES)
@pytest.mark.parametrize("side", [0, 1])
def test_gradient_of_cross_distance_equals_finite_differences(metric, side):
    rng = np.random.default_rng(4)
    points = [rng.normal(size=(size, 3)) for size in (3, 4)]
    share = rng.normal(size=(3, 4))

    def value(moved):
        pair = [moved, points[1]] if side == 0 else [points[0], moved]
        return tf.reduce_sum(share * ops.cross_distance(metric)(*pair))

    moved = tf.constant(points[side])
    with tf.GradientTape() as tape:
        tape.watch(moved)
        result = value(moved)
    numeric = np.zeros_like(points[side])
    for index in np.ndindex(numeric.shape):
        step = np.zeros_like(numeric)
        step[index] = 1e-6
        numeric[index] = (value(points[side] + step) - value(points[side] - step)) / 2e-6
    np.testing.assert_allclose(tape.gradient(result, moved), numeric, atol=1e-6)


@pytest.mark.parametrize("metric", ops.DISTANCES)
def test_distances_of_zero_and_opposite_points_have_a_finite_gradient(metric):
    points = np.concatenate([POINTS[:1], -POINTS[:1], np.zeros((2, 5))])
    assert np.all(np.isfinite(_gradient(ops.pairwise_distance(metric), points)))


def test_small_distances_and_angles_keep_their_digits():
    angle = 1e-4
    pair = np.float32([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    for points, expected in ((pair, angle), (pair * [[1], [-1]], np.pi - angle)):
        assert float(ops.pairwise_distance("angle")(np.float32(points))[0, 1]) == pytest.approx(
            expected, abs=1e-7
        )
    assert float(ops.pairwise_distance("L2")(pair)[0, 1]) == pytest.approx(angle, rel=1e-5)


def test_distance_blocks_join_to_the_whole():
    blocks = list(ops.distance_blocks(POINTS, POINTS[:4], "L2", block_size=4))
    assert [(rows.start, rows.stop) for rows, _ in blocks] == [(0, 4), (4, 8), (8, 9)]
    whole = ops.cross_distance("L2")(POINTS, POINTS[:4])
    np.testing.assert_allclose(np.concatenate([block for _, block in blocks]), whole, atol=1e-12)


def test_distance_blocks_of_no_rows_raise():
    with pytest.raises(ValueError, match="block_size must be at least 1"):
        next(ops.distance_blocks(POINTS, POINTS, block_size=0))


def test_unknown_distance_names_the_known_ones():
    with pytest.raises(
        ValueError, match="Unknown distance 'l2'. Known: L2, squared-L2, angular, cosine"
    ):
        ops.pairwise_distance("l2")
