"""All pairs: exact counts, values and order, bounded memory; folds that share nobody."""

import tracemalloc

import numpy as np
import pytest

from facezoo.data import pairs
from tests.oracles import verification as oracle


def embeddings(num_images, seed=0, num_identities=4):
    random = np.random.default_rng(seed)
    embedding = random.normal(size=(num_images, 5)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding, random.integers(0, num_identities, num_images)


@pytest.mark.parametrize("pairs_per_block", [1, 40, 2**22])
def test_all_pairs_and_indices_equal_the_double_loop(monkeypatch, pairs_per_block):
    monkeypatch.setattr(pairs, "_PAIRS_PER_BLOCK", pairs_per_block)
    embedding, label = embeddings(23)
    for expected, distances, indices in zip(
        oracle.all_pairs(embedding, label),
        pairs.all_pairs(embedding, label),
        pairs.pair_indices(label),
        strict=True,
    ):
        np.testing.assert_allclose(distances, expected[0], atol=1e-6)
        np.testing.assert_array_equal(indices, expected[1])
        assert distances.dtype == np.float32


def test_counts_are_exact():
    label = np.repeat([3, 7, 9], [4, 1, 2])
    expected = {"num_identities": 3, "num_images": 7, "num_genuine": 7, "num_impostor": 14}
    assert pairs.count_pairs(label) == expected
    genuine, impostor = pairs.all_pairs(np.eye(7), label)
    assert (len(genuine), len(impostor)) == (7, 14)


def test_people_without_pairs_give_empty_arrays():
    for label, counts in (([], (0, 0)), ([1], (0, 0)), ([1, 1], (1, 0)), ([1, 2], (0, 1))):
        label = np.array(label, int)
        assert tuple(map(len, pairs.all_pairs(np.ones((len(label), 2)), label))) == counts
        assert tuple(map(len, pairs.pair_indices(label))) == counts


def test_equal_embeddings_are_at_distance_zero_and_none_is_below():
    embedding, _ = embeddings(50)
    genuine, _ = pairs.all_pairs(np.concatenate([embedding, embedding]), np.zeros(100, int))
    assert genuine.min() >= 0.0
    twins, _ = pairs.all_pairs(embedding[[0, 0]], np.zeros(2, int))
    assert twins[0] < 1e-12


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(pairs, "_PAIRS_PER_BLOCK", 2**16)
    embedding, label = embeddings(3000)
    tracemalloc.start()
    found = pairs.all_pairs(embedding, label)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    result = sum(distances.nbytes for distances in found)
    assert result == 4 * 3000 * 2999 // 2
    # All distances at once would take another 72 MB.
    assert peak - result < 8e6


@pytest.mark.parametrize("shape", [(3,), (4, 2), (3, 2, 1)])
def test_shapes_that_do_not_fit_raise(shape):
    with pytest.raises(ValueError, match=r"embedding must be \[N, D\] and label \[N\]"):
        pairs.all_pairs(np.ones(shape), np.zeros(3, int))


@pytest.mark.parametrize("num_folds", [2, 3, 5])
def test_folds_share_nobody_and_hold_both_kinds_of_pairs(num_folds):
    # Eleven people, five of whom have two images or more.
    label = np.repeat(np.arange(11) * 3, [1, 1, 9, 1, 2, 1, 3, 1, 1, 4, 2])
    fold = pairs.identity_folds(label, num_folds)
    assert sorted(set(fold)) == list(range(num_folds))
    for identity in set(label):
        assert len(set(fold[label == identity])) == 1
    for number in range(num_folds):
        counts = pairs.count_pairs(label[fold == number])
        assert counts["num_genuine"] and counts["num_impostor"]


def test_folds_do_not_depend_on_the_order_of_the_images():
    label = np.repeat(np.arange(8), 3)
    order = np.random.default_rng(0).permutation(len(label))
    expected = pairs.identity_folds(label, 4)[order]
    np.testing.assert_array_equal(pairs.identity_folds(label[order], 4), expected)


@pytest.mark.parametrize(
    "images, most", [([5], 0), ([5, 5], 1), ([2, 2, 1], 1), ([2, 1, 1, 1], 1), ([2, 2, 1, 1], 2)]
)
def test_too_many_folds_for_the_people_raise(images, most):
    label = np.repeat(np.arange(len(images)), images)
    assert pairs.most_folds(label) == most
    for num_folds in (1, most + 1):
        with pytest.raises(ValueError, match=f"num_folds must be from 2 to {most}"):
            pairs.identity_folds(label, num_folds)
