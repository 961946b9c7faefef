"""All pairs by tiles: exact counts, whole at every size; and the same by Beam, block by block."""

import doctest
import sys

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that

from facezoo import metrics
from facezoo.data.pairs import all_pairs
from facezoo.metrics import DistanceHistogram, LabelledRows, PairMatrix
from facezoo.metrics.pair_counts import SIDE
from pipelines import pair_counts as stage
from pipelines.component import Context


def people(num_images, num_people, seed=0, dim=8):
    """Unit embeddings that tell people apart, but not always."""
    random = np.random.default_rng(seed)
    label = random.integers(0, num_people, num_images)
    centers = np.random.default_rng(99).normal(size=(num_people, dim))
    features = centers[label] + 0.8 * random.normal(size=(num_images, dim))
    return features / np.linalg.norm(features, axis=1, keepdims=True), label


def between(rows, columns, num_bins=2**10):
    return PairMatrix(LabelledRows.sort(*rows), LabelledRows.sort(*columns), num_bins)


def within(points, num_bins=2**10):
    return PairMatrix(LabelledRows.sort(*points), num_bins=num_bins)


def counted(histogram):
    return histogram.genuine.tolist(), histogram.impostor.tolist()


def assert_counts(histogram, genuine, impostor):
    """Every pair is in its bin, but for a few that rounding puts on the other side of an edge."""
    for found, distances in ((histogram.genuine, genuine), (histogram.impostor, impostor)):
        assert found.sum() == len(distances)
        # As the bins: above the lower edge, up to the upper.
        expected = np.searchsorted(np.sort(distances), histogram.edge[1:], side="right")
        error = np.abs(np.cumsum(found) - expected)
        assert error.max() <= 2 + len(distances) / 5000


@pytest.mark.parametrize(
    "num_images, num_people",
    [(2, 1), (SIDE, 40), (SIDE + 1, 3), (2 * SIDE + 77, 500), (3 * SIDE, 1), (1300, 1300)],
)
def test_pairs_within_a_set_are_counted_once_each(num_images, num_people):
    points = people(num_images, num_people)
    matrix = within(points)
    histogram = matrix.histogram()
    assert_counts(histogram, *all_pairs(*points))
    assert matrix.num_pairs == num_images * (num_images - 1) // 2


@pytest.mark.parametrize("num_people", [1, 3, 40, 900])
def test_pairs_between_two_sets_are_counted_once_each(num_people):
    rows, columns = people(SIDE + 300, num_people), people(2 * SIDE + 9, num_people, seed=1)
    matrix = between(rows, columns)
    distance = np.sum((rows[0][:, None] - columns[0]) ** 2, axis=-1)
    same = rows[1][:, None] == columns[1]
    assert_counts(matrix.histogram(), distance[same], distance[~same])
    assert matrix.num_pairs == distance.size


def test_distances_on_an_edge_are_accepted_there_as_everywhere():
    """Products of these are exact: 0, 1, 2, 3 and 4, all on edges of the bins."""
    signs = np.array(np.meshgrid(*4 * [[-0.5, 0.5]])).reshape(4, 16).T
    label = np.arange(16) % 3
    histogram = within((signs, label), num_bins=8).histogram()
    genuine, impostor = all_pairs(signs, label)
    curve = histogram.roc_curve()
    for threshold, true, false in zip(
        curve.threshold, curve.true_accepts, curve.false_accepts, strict=True
    ):
        assert (true, false) == ((genuine <= threshold).sum(), (impostor <= threshold).sum())


def test_equal_and_opposite_images_stay_within_the_bins():
    random = np.random.default_rng(0).normal(size=(40, 77)).astype(np.float32)
    unit = random / np.linalg.norm(random, axis=1, keepdims=True)
    histogram = between((unit, np.arange(40)), (unit, np.arange(40)), 2**14).histogram()
    assert histogram.genuine[:2].sum() == histogram.genuine.sum() == 40
    opposite = between((unit, np.arange(40)), (-unit, np.arange(40)), 2**14).histogram()
    assert opposite.genuine[-2:].sum() == opposite.genuine.sum() == 40


def test_any_order_and_number_of_threads_gives_the_same_counts(monkeypatch):
    matrix = within(people(3 * SIDE, 50))
    expected, tiles = counted(matrix.histogram()), matrix.tiles()
    parts = [matrix.histogram(tiles[i::4][::-1]) for i in range(4)]
    assert counted(sum(parts, DistanceHistogram.empty(2**10))) == expected
    assert counted(matrix.count(tiles)) == expected
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert counted(matrix.histogram()) == expected


@pytest.mark.parametrize("seed", range(4))
def test_val_at_far_of_a_histogram_is_within_a_bin_and_never_above_the_target(seed):
    points = people(400, 12, seed)
    genuine, impostor = all_pairs(*points)
    histogram = within(points, 2**12).histogram()
    for target in (1e-3, 0.0123, 0.1, 0.5, 1.0):
        point = histogram.val_at_far(target)
        exact = metrics.val_at_far(genuine, impostor, target)
        assert point.far <= target
        assert point.val <= exact.val
        assert exact.threshold - point.threshold <= 4 / 2**12 + 1e-6 or target == 1.0
        assert point.threshold in histogram.edge


def test_auc_of_a_histogram_is_as_near_as_it_says():
    points = people(400, 12)
    exact = metrics.auc(*all_pairs(*points))
    errors = []
    for num_bins in (8, 64, 2**14):
        auc, error = within(points, num_bins).histogram().auc()
        assert abs(auc - exact) <= error + 1e-6
        errors.append(error)
    assert errors[0] > 5 * errors[1] > 500 * errors[2] > 0


def test_counts_of_ten_thousand_million_pairs_do_not_overflow():
    counts = np.array([10**10, 10**10, 10**10, 10**10])
    auc, error = DistanceHistogram(counts, counts).auc()
    assert (auc, error) == (0.5, 0.125)
    assert DistanceHistogram(counts, counts).val_at_far(0.5).far == 0.5


def test_accepts_by_person_add_up_to_the_histogram():
    rows, columns = people(700, 30), people(600, 40, seed=1)
    for matrix in (between(rows, columns), within(rows)):
        histogram = matrix.histogram()
        for num_accepted in (0, 100, 300, 2**10):
            accepted, genuine = matrix.accepts_by_person(num_accepted)
            assert accepted.sum() == histogram.genuine[:num_accepted].sum()
            assert genuine.sum() == histogram.genuine.sum()
            assert genuine.min() >= 1 and np.all(accepted <= genuine)
    _, images = np.unique(rows[1], return_counts=True)
    pairs = images * (images - 1) // 2
    assert genuine.tolist() == pairs[pairs > 0].tolist()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: within(people(9, 2), num_bins=1000), "power of two.*Received: 1000"),
        (lambda: within(people(9, 2), num_bins=1), "power of two"),
        (lambda: between(people(9, 2), people(9, 2, dim=5)), "same length on both sides"),
        (lambda: LabelledRows.sort(2 * np.eye(3), [0, 1, 2]), "unit length"),
        (lambda: LabelledRows.sort(np.eye(3), [0, 1]), "one for each of 3 rows"),
        (lambda: within((np.eye(3), [0, 1, 2])).histogram().auc(), "no genuine pair"),
        (lambda: within((np.eye(3), [1, 1, 1])).histogram().roc_curve(), "no impostor pair"),
        (lambda: within(people(30, 3)).histogram().val_at_far(1e-3), "takes 10,000 impostor"),
        (lambda: DistanceHistogram(np.ones(2, int), np.ones(3, int)), "same bins"),
        (lambda: DistanceHistogram(-np.ones(2, int), np.ones(2, int)), "negative"),
        (lambda: stage.CountPairs(0), "tiles_per_block must be at least 1"),
    ],
)
def test_what_does_not_fit_raises(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.fixture
def splits(tmp_path):
    """Three splits on disk, and their histograms counted in memory."""
    found = {}
    for number in range(3):
        rows = LabelledRows.sort(*people(700 + number, 60, seed=2 * number))
        columns = LabelledRows.sort(*people(600, 60, seed=2 * number + 1))
        path = tmp_path / f"split-{number}.npz"
        stage.write_split(path, rows, columns)
        found[str(path)] = counted(PairMatrix(rows, columns).histogram())
    return found


@pytest.mark.parametrize("tiles_per_block", [1, 3, 256])
def test_beam_counts_the_very_same(splits, tiles_per_block):
    def check(found):
        assert {path: counted(histogram) for path, histogram in found} == splits

    with Context(".").beam_pipeline() as pipeline:
        paths = pipeline | beam.Create(list(splits))
        assert_that(paths | stage.CountPairs(tiles_per_block), check)


@pytest.mark.parametrize("block", [[], [("path", 0), ("path", 0)]])
def test_a_block_that_is_lost_or_repeated_stops_the_stage(splits, monkeypatch, block):
    path = next(iter(splits))
    blocks = [*stage.list_blocks(path, 1)][1:] + [(path, start) for _, start in block]
    monkeypatch.setattr(stage, "list_blocks", lambda *_: iter(blocks))
    with pytest.raises(Exception, match="Beam lost or repeated blocks.*420,000 pairs"):
        with Context(".").beam_pipeline() as pipeline:
            _ = pipeline | beam.Create([path]) | stage.CountPairs(1)


def test_histograms_merge_in_any_order_also_with_none():
    merge, random = stage.MergeHistograms(), np.random.default_rng(0)
    parts = [DistanceHistogram(*random.integers(0, 9, (2, 4))) for _ in range(4)]
    expected = counted(sum(parts, DistanceHistogram.empty(4)))
    empty = merge.create_accumulator()
    left = merge.add_input(merge.add_input(empty, parts[3]), parts[1])
    right = merge.add_input(merge.add_input(empty, parts[0]), parts[2])
    assert counted(merge.extract_output(merge.merge_accumulators([left, empty, right]))) == expected
    assert merge.merge_accumulators([empty, empty]) is None


def test_examples():
    assert doctest.testmod(sys.modules["facezoo.metrics.histogram"]).failed == 0
