"""Selection of negatives: by hand, and against loops on random and on tied distances."""

import numpy as np
import tensorflow as tf

from facezoo.mining import semi_hard_negatives

LABEL = np.array([0, 0, 1, 1, 1])
IS_POSITIVE = (LABEL[:, None] == LABEL) & ~np.eye(5, dtype=bool)
IS_NEGATIVE = LABEL[:, None] != LABEL


def _choose(first_row, **changes):
    """What is chosen for the first anchor, whose only positive is column 1."""
    distances = np.ones((5, 5), "float32")
    distances[0] = first_row
    return int(semi_hard_negatives(distances, IS_POSITIVE, IS_NEGATIVE)[0, 1])


def test_nearest_negative_beyond_the_positive():
    assert _choose([0.0, 0.5, 0.9, 0.6, 0.4]) == 3


def test_beyond_means_strictly_farther():
    assert _choose([0.0, 0.5, 0.9, 0.5, 0.5]) == 2


def test_farthest_negative_where_none_is_beyond():
    assert _choose([0.0, 0.5, 0.2, 0.5, 0.1]) == 3


def test_nearest_negative_for_a_positive_at_distance_0():
    assert _choose([0.0, 0.0, 0.0, 0.3, 0.2]) == 4


def _loops(distances, is_positive, is_negative):
    """Distance of the chosen negative of each pair; 0 where there is no pair or no negative."""
    chosen = np.zeros_like(distances)
    for anchor, positive in zip(*np.nonzero(is_positive), strict=True):
        negatives = distances[anchor][is_negative[anchor]]
        beyond = negatives[negatives > distances[anchor, positive]]
        chosen[anchor, positive] = min(beyond) if len(beyond) else max(negatives, default=0.0)
    return chosen


def _assert_equal_to_loops(distances, is_positive, is_negative, select=semi_hard_negatives):
    column = np.array(select(distances, is_positive, is_negative))
    assert column.dtype == np.int32
    has_answer = is_positive & is_negative.any(axis=1, keepdims=True)
    found = np.where(has_answer, np.take_along_axis(distances, column, axis=1), 0.0)
    np.testing.assert_array_equal(found, _loops(distances, is_positive, is_negative))
    chosen_is_negative = np.take_along_axis(is_negative, column, axis=1)
    assert np.all(chosen_is_negative[has_answer])


def test_equal_to_loops_with_many_ties():
    rng = np.random.default_rng(0)
    for num_levels in (1, 2, 5, 1000):
        for size in (1, 2, 9, 24):
            label = rng.integers(0, 4, size)
            distances = rng.integers(0, num_levels, (size, size)).astype("float32")
            is_same = label[:, None] == label
            _assert_equal_to_loops(distances, is_same & ~np.eye(size, dtype=bool), ~is_same)


def test_candidates_may_be_others_than_the_anchors():
    rng = np.random.default_rng(1)
    is_same = rng.integers(0, 3, 4)[:, None] == rng.integers(0, 3, 11)
    _assert_equal_to_loops(rng.random((4, 11), "float32"), is_same, ~is_same)


def test_unknown_batch_size():
    signature = [tf.TensorSpec([None, None], dtype) for dtype in (tf.float32, tf.bool, tf.bool)]
    compiled = tf.function(semi_hard_negatives, input_signature=signature)
    distances = np.random.default_rng(2).random((5, 5), "float32")
    _assert_equal_to_loops(distances, IS_POSITIVE, IS_NEGATIVE, compiled)
