"""Selection of pairs and negatives: by hand, and against loops on random and tied distances."""

import numpy as np
import pytest
import tensorflow as tf

from facezoo import mining

LABEL = np.array([0, 0, 1, 1, 1])
IS_POSITIVE = (LABEL[:, None] == LABEL) & ~np.eye(5, dtype=bool)
IS_NEGATIVE = LABEL[:, None] != LABEL


def test_pair_masks():
    is_positive, is_negative = mining.pair_masks(LABEL)
    np.testing.assert_array_equal(is_positive, IS_POSITIVE)
    np.testing.assert_array_equal(is_negative, IS_NEGATIVE)


@pytest.mark.parametrize("limit", [3, 6, 40])
def test_listed_positives_are_all_others_of_the_identity(limit):
    rng = np.random.default_rng(0)
    for size in (1, 2, 9, 25):
        label = rng.integers(0, max(size // 3, 1), size)
        pairs, is_complete = mining.list_positives(tf.constant(label), limit)
        assert bool(is_complete) == (np.bincount(label).max() <= limit + 1)
        for anchor in range(size):
            listed = np.array(pairs.column[anchor])[pairs.is_pair[anchor]].tolist()
            others = set(np.flatnonzero(label == label[anchor])) - {anchor}
            assert len(listed) == len(set(listed)) == min(limit, len(others))
            assert set(listed) <= others


@pytest.mark.parametrize(("size", "expected"), [(4, True), (5, False)])
def test_a_list_is_complete_up_to_its_limit(size, expected):
    _, is_complete = mining.list_positives(tf.zeros(size, tf.int32), 3)
    assert bool(is_complete) is expected


def test_all_positives():
    pairs = mining.all_positives(IS_POSITIVE)
    np.testing.assert_array_equal(pairs.column, np.tile(np.arange(5), (5, 1)))
    np.testing.assert_array_equal(pairs.is_pair, IS_POSITIVE)


def test_hardest():
    distances = np.random.default_rng(0).random((5, 5), "float32")
    positive = np.array(mining.hardest_positives(distances, IS_POSITIVE))
    negative = np.array(mining.hardest_negatives(distances, IS_NEGATIVE))
    for anchor in range(5):
        farthest = distances[anchor][IS_POSITIVE[anchor]].max()
        assert distances[anchor, positive[anchor, 0]] == farthest
        assert (
            distances[anchor, negative[anchor, 0]] == distances[anchor][IS_NEGATIVE[anchor]].min()
        )


def _choose(first_row):
    """What is chosen for the first anchor, whose only positive is column 1."""
    distances = np.ones((5, 5), "float32")
    distances[0] = first_row
    chosen = mining.semi_hard_negatives(distances, distances, IS_POSITIVE, IS_NEGATIVE)
    return int(chosen[0, 1])


def test_nearest_negative_beyond_the_positive():
    assert _choose([0.0, 0.5, 0.9, 0.6, 0.4]) == 3


def test_beyond_means_strictly_farther():
    assert _choose([0.0, 0.5, 0.9, 0.5, 0.5]) == 2


def test_farthest_negative_where_none_is_beyond():
    assert _choose([0.0, 0.5, 0.2, 0.5, 0.1]) == 3


def test_nearest_negative_for_a_positive_at_distance_0():
    assert _choose([0.0, 0.0, 0.0, 0.3, 0.2]) == 4


def _loops(distances, radius, is_pair, is_negative):
    """Distance of the chosen negative of each pair; 0 where there is no pair or no negative."""
    chosen = np.zeros_like(radius)
    for anchor, pair in zip(*np.nonzero(is_pair), strict=True):
        negatives = distances[anchor][is_negative[anchor]]
        beyond = negatives[negatives > radius[anchor, pair]]
        chosen[anchor, pair] = min(beyond) if len(beyond) else max(negatives, default=0.0)
    return chosen


def _assert_equal_to_loops(distances, radius, is_pair, is_negative, select=None):
    select = select or mining.semi_hard_negatives
    column = np.array(select(distances, radius, is_pair, is_negative))
    assert column.dtype == np.int32
    has_answer = is_pair & is_negative.any(axis=1, keepdims=True)
    found = np.where(has_answer, np.take_along_axis(distances, column, axis=1), 0.0)
    np.testing.assert_array_equal(found, _loops(distances, radius, is_pair, is_negative))
    chosen_is_negative = np.take_along_axis(is_negative, column, axis=1)
    assert np.all(chosen_is_negative[has_answer])


# The first walks from positive to positive, the second sorts and searches.
@pytest.mark.parametrize("num_pairs", [7, 70])
@pytest.mark.parametrize("num_levels", [1, 2, 5, 1000])
def test_semi_hard_equals_loops_with_many_ties(num_levels, num_pairs):
    rng = np.random.default_rng(0)
    for num_anchors, num_candidates in ((1, 1), (4, 11), (9, 24)):
        distances, radius = (
            rng.integers(0, num_levels, (num_anchors, number)).astype("float32")
            for number in (num_candidates, num_pairs)
        )
        is_pair = rng.random(radius.shape) < 0.5
        is_negative = rng.random(distances.shape) < rng.choice([0.1, 0.7])
        _assert_equal_to_loops(distances, radius, is_pair, is_negative)


@pytest.mark.parametrize("num_pairs", [None, 5])
def test_unknown_batch_size(num_pairs):
    shapes = ((None, None), (None, num_pairs), (None, num_pairs), (None, None))
    dtypes = (tf.float32, tf.float32, tf.bool, tf.bool)
    signature = [tf.TensorSpec(*one) for one in zip(shapes, dtypes, strict=True)]
    compiled = tf.function(mining.semi_hard_negatives, input_signature=signature)
    distances = np.random.default_rng(2).random((5, 5), "float32")
    _assert_equal_to_loops(distances, distances, IS_POSITIVE, IS_NEGATIVE, compiled)


def test_random_negatives_violate_the_margin_and_are_spread_evenly():
    rng = np.random.default_rng(3)
    # Of ten negatives, at 0.05, 0.15 .. 0.95, those below d_ap + 0.2 violate the margin.
    distances = np.tile(np.float32(np.arange(10) / 10 + 0.05), (2000, 1))
    radius = rng.uniform(0.31, 0.39, (2000, 1)).astype("float32")
    is_negative = np.ones_like(distances, bool)
    chosen = mining.random_violating_negatives(
        distances, radius, np.ones_like(radius, bool), is_negative, 0.2
    )
    counts = np.bincount(np.array(chosen)[:, 0], minlength=10)
    violating = np.sum(distances[:1] < radius + 0.2, axis=1)
    expected = [np.sum((violating > rank) / violating) for rank in range(10)]
    # Five standard deviations of a binomial count.
    assert np.all(np.abs(counts - expected) <= 5 * np.sqrt(np.array(expected) + 1e-9))


def test_random_negative_is_the_nearest_where_none_violates_the_margin():
    distances = np.float32([[9.0, 0.9, 0.8, 0.7]])
    is_negative = np.array([[False, True, True, True]])
    chosen = mining.random_violating_negatives(
        distances, np.float32([[0.3]]), np.array([[True]]), is_negative, 0.2
    )
    assert np.array(chosen).tolist() == [[3]]
