"""FaceNet's hold-out protocol: the deal into splits, and the scores against all pairs by hand."""

import numpy as np
import pytest

from facezoo import metrics
from facezoo.evaluation import holdout


def people(num_people=60, seed=0):
    """Unit embeddings; the first people have many images, and are the easiest to tell apart."""
    random = np.random.default_rng(seed)
    images = np.r_[np.full(10, 30), np.full(num_people - 10, 8)]
    label = np.repeat(np.arange(num_people) * 3 - 7, images)
    spread = np.repeat(np.r_[np.full(10, 0.3), np.full(num_people - 10, 0.9)], images)
    features = np.repeat(random.normal(size=(num_people, 8)), images, axis=0)
    features += spread[:, None] * random.normal(size=features.shape)
    order = random.permutation(len(label))
    return (features / np.linalg.norm(features, axis=1, keepdims=True))[order], label[order]


def by_hand(embedding, label, rows, columns, target):
    """VAL, macro VAL and FAR over all pairs, written out."""
    distance = np.sum((embedding[rows][:, None] - embedding[columns]) ** 2, axis=-1)
    same = label[rows][:, None] == label[columns]
    point = metrics.val_at_far(distance[same], distance[~same], target, allow_few=True)
    row, _ = np.nonzero(same)
    shares = [
        np.mean(distance[same][label[rows][row] == person] <= point.threshold)
        for person in np.unique(label[rows][row])
    ]
    return point, np.mean(shares), len(shares), metrics.auc(distance[same], distance[~same])


@pytest.mark.parametrize("disjoint", ["identity", "image"])
@pytest.mark.parametrize("num_splits", [2, 5])
def test_every_image_is_dealt_once_and_splits_share_nothing(disjoint, num_splits):
    _, label = people()
    splits = holdout.holdout_splits(label, num_splits, disjoint)
    dealt = np.concatenate([np.concatenate(halves) for halves in splits])
    assert sorted(dealt.tolist()) == list(range(len(label)))
    assert all(abs(len(rows) - len(columns)) <= 1 for rows, columns in splits)
    sides = [set(label[np.concatenate(halves)].tolist()) for halves in splits]
    shared = set.intersection(*sides)
    assert not shared if disjoint == "identity" else shared
    sizes = [len(side) for side in sides]
    assert max(sizes) - min(sizes) <= 1


def test_the_deal_depends_on_the_seed_alone():
    _, label = people()
    first, again, other = (holdout.holdout_splits(label, seed=seed) for seed in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        assert all(np.array_equal(*halves) for halves in zip(one, two, strict=True))
    assert not np.array_equal(first[0][0], other[0][0])


@pytest.mark.parametrize("target", [1e-2, 0.1])
def test_scores_equal_all_pairs_written_out(target):
    embedding, label = people()
    splits = holdout.holdout_splits(label, 3)
    scores = holdout.evaluate_holdout(embedding, label, splits, target)
    for split, (rows, columns) in zip(scores.splits, splits, strict=True):
        point, macro_val, num_people, auc = by_hand(embedding, label, rows, columns, target)
        assert split.point.far <= target
        assert split.point.threshold > point.threshold - 4 / 2**14 - 1e-6
        assert split.point.val == pytest.approx(point.val, abs=0.003)
        assert split.macro_val == pytest.approx(macro_val, abs=0.005)
        assert split.auc == pytest.approx(auc, abs=1e-4)
        assert split.num_people == num_people
        assert split.num_genuine + split.num_impostor == len(rows) * len(columns)


def test_means_are_over_splits_and_macro_weighs_people_alike():
    embedding, label = people()
    scores = holdout.evaluate_holdout(embedding, label, holdout.holdout_splits(label), 1e-2)
    assert len(scores.splits) == 5
    val = [split.point.val for split in scores.splits]
    assert scores.val == pytest.approx((np.mean(val), np.std(val, ddof=1) / 5**0.5))
    macro = [split.macro_val for split in scores.splits]
    assert scores.macro_val == pytest.approx((np.mean(macro), np.std(macro, ddof=1) / 5**0.5))
    assert scores.auc[0] == pytest.approx(np.mean([split.auc for split in scores.splits]))
    # Those with many images are easy here, and have most of the pairs.
    assert scores.val[0] > scores.macro_val[0] + 0.1


def test_the_threshold_of_macro_val_is_that_of_val():
    """Where everybody is accepted, so is a person whose two images are opposite."""
    embedding = np.eye(4)[[0, 1, 0, 1]] * np.array([1, 1, -1, 1])[:, None]
    halves = np.array([0, 1]), np.array([2, 3])
    label = np.array([5, 6, 5, 6])
    scores = holdout.evaluate_holdout(embedding, label, [halves] * 2, 1.0, allow_few=True)
    assert scores.val == scores.macro_val == (1.0, 0.0)
    assert scores.splits[0].point.threshold == 4.0


def test_few_impostors_are_refused_unless_told():
    embedding, label = people()
    splits = holdout.holdout_splits(label, 5)
    with pytest.raises(ValueError, match="FAR of 1e-05 takes 1,000,000 impostor pairs"):
        holdout.evaluate_holdout(embedding, label, splits, 1e-5)
    scores = holdout.evaluate_holdout(embedding, label, splits, 1e-5, allow_few=True)
    assert all(split.point.far <= 1e-5 for split in scores.splits)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((1,), "num_splits must be from 2 to 60.*Received: 1"),
        ((61,), r"\(identity\). Received: 61"),
        ((5, "person"), "'identity' or 'image'. Received: 'person'"),
    ],
)
def test_splits_that_cannot_be_made_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        holdout.holdout_splits(people()[1], *arguments)


def test_one_split_has_no_standard_error():
    embedding, label = people()
    splits = holdout.holdout_splits(label, 2)[:1]
    with pytest.raises(ValueError, match="two values or more"):
        holdout.evaluate_holdout(embedding, label, splits, 1e-2)
