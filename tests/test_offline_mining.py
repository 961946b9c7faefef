"""Offline triplets: what a look at every pair would choose, block by block."""

import tracemalloc

import numpy as np
import pytest

from facezoo.mining import mine_triplets

RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 9, 60)
LABEL[[7, 30]] = 50, 51
POINTS = RNG.normal(size=(60, 5))


def brute_force(embedding, label, negatives):
    """One anchor at a time, one candidate at a time; the first of equals."""
    found = []
    for anchor, point in enumerate(embedding):
        d = np.sum((embedding - point) ** 2, axis=1).astype("float32")
        others = [i for i in range(len(label)) if label[i] != label[anchor]]
        positives = [i for i in range(len(label)) if label[i] == label[anchor] and i != anchor]
        if not others or not positives:
            continue
        positive = max(positives, key=lambda i: (d[i], -i))
        beyond = [i for i in others if d[i] > d[positive]]
        if negatives == "hardest":
            negative = min(others, key=lambda i: (d[i], i))
        elif beyond:
            negative = min(beyond, key=lambda i: (d[i], i))
        else:
            negative = max(others, key=lambda i: (d[i], -i))
        found.append((anchor, positive, negative))
    return np.array(found)


@pytest.mark.parametrize("block_size", [1, 7, 60, 1024])
@pytest.mark.parametrize("negatives", ["hardest", "semi-hard"])
def test_equals_brute_force(negatives, block_size):
    found = mine_triplets(POINTS, LABEL, negatives=negatives, block_size=block_size)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, brute_force(POINTS, LABEL, negatives))


def test_the_farthest_negative_stands_in_where_none_is_beyond():
    points, label = np.array([[0.0], [9.0], [1.0], [2.0]]), np.array([0, 0, 1, 2])
    assert mine_triplets(points, label, negatives="semi-hard").tolist() == [[0, 1, 3], [1, 0, 2]]


@pytest.mark.slow
@pytest.mark.parametrize("block_size", [1, 13, 37, 1024])
def test_of_copies_the_first_is_taken(block_size):
    """Products of matrices round the same numbers differently in different columns."""
    points, label = np.tile(RNG.normal(size=(200, 64)), (2, 1)), np.arange(400) % 5
    found = mine_triplets(points, label, block_size=block_size)
    assert len(found) == 400 and np.all(found[:, 1:] < 200)


@pytest.mark.parametrize("block_size", [5, 13, 1024])
def test_of_copies_at_distance_0_the_first_is_taken(block_size):
    """Seven copies of one picture of each person: rounding leaves more than 0 of their distance."""
    points, label = np.tile(RNG.normal(size=(33, 64)), (7, 1)), np.arange(231) % 33
    found = mine_triplets(points, label, block_size=block_size)
    is_first = np.arange(231) < 33
    np.testing.assert_array_equal(found[:, 1], np.where(is_first, label + 33, label))


def test_an_image_is_not_its_own_positive():
    points, label = np.array([[1.3, 0.1], [1.3, 0.1], [5.0, 0.0]]), np.array([0, 0, 1])
    assert mine_triplets(points, label).tolist() == [[0, 1, 2], [1, 0, 2]]


class TestAnchors:
    def test_some_are_drawn_by_the_seed(self):
        everyone = mine_triplets(POINTS, LABEL)
        some, again, other = (mine_triplets(POINTS, LABEL, 20, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(some, again)
        assert len(some) == len(np.unique(some[:, 0])) == 20 and not np.array_equal(some, other)
        rows = np.searchsorted(everyone[:, 0], some[:, 0])
        np.testing.assert_array_equal(some, everyone[rows])

    def test_no_more_than_there_are(self):
        np.testing.assert_array_equal(
            mine_triplets(POINTS, LABEL, 1000), mine_triplets(POINTS, LABEL)
        )

    @pytest.mark.parametrize("label", [np.arange(60), np.zeros(60), np.zeros(0)])
    def test_without_positives_or_negatives_there_is_none(self, label):
        assert mine_triplets(POINTS[: len(label)], label).shape == (0, 3)


def test_memory_does_not_grow_with_the_square():
    points, label = RNG.normal(size=(6000, 4)).astype("float32"), np.arange(6000) // 3
    tracemalloc.start()
    mine_triplets(points, label, num_triplets=2000, block_size=256)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A float32 for every pair of an anchor with a candidate would be 48 MB, for every pair 144.
    assert peak < 8e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_triplets": 0}, "num_triplets must be at least 1"),
        ({"block_size": 0}, "block_size must be at least 1"),
        ({"negatives": "easy"}, "negatives must be one of"),
        ({"label": LABEL[:5]}, r"embedding must be \[N, D\] and label \[N\]"),
        ({"embedding": POINTS[0]}, r"Received: shapes \(5,\)"),
    ],
)
def test_bad_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        mine_triplets(**{"embedding": POINTS, "label": LABEL, **arguments})
