"""Scores of embeddings: every metric passes every check; nearest, identification and the rest."""

import doctest
import sys
import threading

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score, pair_confusion_matrix
from threadpoolctl import threadpool_info

from facezoo import metrics
from facezoo.metrics import threads
from tests.checks import embedding_metric as checks
from tests.checks.embedding_metric import halves, hand_example, people_points, unit
from tests.oracles import clustering, identification, retrieval


@pytest.mark.parametrize("check", checks.CHECKS)
@pytest.mark.parametrize("name", checks.METRICS)
def test_metric(name, check):
    checks.CHECKS[check](checks.METRICS[name])


def whole_numbers(num, seed):
    """Sixteen distinct unit vectors, whose products are exact: ties abound."""
    return np.random.default_rng(seed).choice([-0.5, 0.5], (num, 4)).astype(np.float32)


@pytest.mark.parametrize("num_gallery", [1, 5, 1023, 1025, 20_000])
@pytest.mark.parametrize("k", [1, 3, 200])
def test_nearest_equals_sorting_the_whole_gallery(num_gallery, k):
    random = np.random.default_rng(num_gallery)
    probe, gallery = (unit(random.normal(size=(num, 8))) for num in (7, num_gallery))
    k = min(k, num_gallery)
    distance, index = metrics.nearest(probe, gallery, k)
    expected, order = identification.nearest(probe, gallery, k)
    assert (distance.dtype, index.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(distance, expected, atol=2e-6)
    np.testing.assert_array_equal(index, order)


@pytest.mark.parametrize("k", [1, 2, 40, 1100])
def test_nearest_gives_the_first_of_those_at_one_distance(k):
    """Sixteen distinct vectors, in several blocks and on several threads."""
    probe, gallery = whole_numbers(1030, 0), whole_numbers(1100, 1)
    distance, index = metrics.nearest(probe, gallery, k)
    order = np.argsort(2 - 2 * probe @ gallery.T, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(index, order)
    assert distance.min() == 0.0


def test_nearest_does_not_depend_on_the_number_of_threads(monkeypatch):
    probe, gallery = whole_numbers(20, 0), whole_numbers(100_000, 1)
    found = []
    for num in (1, 2, 5):
        monkeypatch.setattr("os.cpu_count", lambda num=num: num)
        found.append(metrics.nearest(probe, gallery, 9)[1])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.eye(2), np.eye(2), 0), "k must be from 1 to 2.*k=0"),
        ((np.eye(2), np.eye(2), 3), "k must be from 1 to 2.*k=3"),
        ((np.eye(2), np.eye(3), 1), "same length on both sides.*2 and 3"),
        ((np.eye(2), 2 * np.eye(2), 1), "gallery must have rows of unit length.*length 2 in row 0"),
        ((np.empty((0, 2)), np.eye(2), 1), r"probe must be \[N, D\]"),
        ((np.eye(2), np.full((2, 2), np.nan), 1), "gallery must have rows of unit length.*nan"),
    ],
)
def test_nearest_refuses_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        metrics.nearest(*arguments)


def blas_threads():
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def test_threads_leave_blas_as_it_was_also_after_an_error():
    before = blas_threads()
    inside = threads.share_tiles(lambda tiles: (list(tiles), blas_threads()), range(5))
    assert sorted(tile for tiles, _ in inside for tile in tiles) == list(range(5))
    assert all(set(limits) == {1} for _, limits in inside)

    def fail(tiles):
        raise KeyError(next(tiles))

    with pytest.raises(KeyError):
        threads.share_tiles(fail, range(5))
    assert blas_threads() == before


def test_two_callers_at_once_leave_blas_as_it_was():
    before, gallery = blas_threads(), whole_numbers(50_000, 0)
    callers = [
        threading.Thread(target=metrics.nearest, args=(gallery[:9], gallery, 1)) for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert blas_threads() == before


@pytest.mark.parametrize("pairs_per_block", [1, 50, 10**6])
def test_search_equals_oracle_in_any_blocks(monkeypatch, pairs_per_block):
    monkeypatch.setattr(metrics.identification, "_PAIRS_PER_BLOCK", pairs_per_block)
    for seed in range(4):
        probe, probe_label, gallery, gallery_label = halves(*people_points(seed))
        known = gallery_label % 3 != 0
        searches = metrics.search(probe, probe_label, gallery[known], gallery_label[known])
        ranks, nearest = identification.search(
            probe, probe_label, gallery[known], gallery_label[known]
        )
        assert searches.rank.tolist() == ranks
        np.testing.assert_allclose(searches.distance, nearest, atol=2e-6)


def test_a_person_at_the_same_distance_counts_as_nearer():
    searches = metrics.search([[1.0, 0.0]], [4], [[0.0, 1.0], [0.0, -1.0]], [4, 5])
    assert searches.rank.tolist() == [2]


def test_cmc_rises_to_one_and_holds_every_rank_k():
    searches = metrics.search(*halves(*people_points(0)))
    curve = metrics.cmc(searches, 9)
    assert np.all(np.diff(curve) >= 0) and curve[-1] == 1.0 and curve[0] < 1.0
    assert curve.tolist() == [metrics.rank_k(searches, k) for k in range(1, 10)]


def open_set(num_mated=30, num_strangers=40, seed=0):
    random = np.random.default_rng(seed)
    rank = np.concatenate([random.integers(1, 3, num_mated), np.zeros(num_strangers, int)])
    distance = random.integers(0, 20, len(rank)).astype(np.float32) / 8
    return metrics.Searches(rank, distance)


def test_tpir_equals_oracle_and_fpir_never_exceeds_the_target():
    for searches in (open_set(seed=seed) for seed in range(20)):
        for target in (0.0, 0.1, 0.29, 1 / 3, 1.0):
            point = metrics.tpir_at_fpir(searches, target, allow_few=True)
            ranks, nearest = searches.rank.tolist(), searches.distance.tolist()
            assert point.tpir == identification.tpir_at_fpir(ranks, nearest, target)
            strangers = searches.distance[searches.rank == 0]
            assert np.mean(strangers <= point.threshold) == point.fpir <= target


def test_tpir_refuses_what_ten_searches_do_not_support():
    assert metrics.tpir_at_fpir(open_set(), 0.25).fpir <= 0.25
    with pytest.raises(
        ValueError, match="FPIR of 0.24 takes 42 searches of strangers.*Received: 40"
    ):
        metrics.tpir_at_fpir(open_set(), 0.24)


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0)])
def test_an_open_set_needs_both_kinds_of_searches(sizes):
    with pytest.raises(ValueError, match="An open set needs"):
        metrics.tpir_at_fpir(open_set(*sizes), 0.5)


def test_a_closed_set_refuses_strangers():
    with pytest.raises(ValueError, match="40 of 70 probes of others"):
        metrics.rank_k(open_set())
    with pytest.raises(ValueError, match="1 of 2 probes of others"):
        metrics.knn_accuracy(np.eye(2), [1, 9], np.eye(2), [1, 2])
    with pytest.raises(ValueError, match="num_ranks must be at least 1"):
        metrics.cmc(open_set(), 0)


@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_knn_equals_oracle_also_where_votes_are_tied(k):
    for seed in range(5):
        probe, _, gallery, gallery_label = halves(*people_points(seed))
        found = metrics.knn_classify(probe, gallery, gallery_label, k)
        assert found.tolist() == identification.knn(probe, gallery, gallery_label, k)


def test_retrieval_counts_who_is_alone_and_lets_nobody_find_itself():
    embedding, label = hand_example()
    scores = metrics.retrieval_scores(
        np.concatenate([embedding, [[-1.0, 0.0]]]), np.append(label, 7)
    )
    assert (scores.num_queries, scores.num_alone) == (6, 1)
    assert scores.precision_at_1 == 4 / 6
    # Two equal images of two people are each other's nearest.
    embedding, label = np.eye(2)[[0, 0, 1, 1]], [1, 2, 1, 2]
    assert metrics.retrieval_scores(embedding, label).precision_at_1 == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_retrieval_of_many_equal_images_equals_oracle(seed):
    """Sixteen distinct vectors, so that many queries are pushed out of their own answer."""
    embedding, label = whole_numbers(90, seed), np.random.default_rng(seed).integers(0, 25, 90)
    scores = metrics.retrieval_scores(embedding, label)
    found = scores.precision_at_1, scores.r_precision, scores.map_at_r
    assert found == pytest.approx(retrieval.retrieval(embedding, label), abs=1e-12)


def test_retrieval_of_equal_images_leaves_each_query_out_once():
    scores = metrics.retrieval_scores(np.eye(2)[[0] * 40], np.repeat([0, 1], 20))
    # Of 40 images at one distance, those of person 0 come first.
    assert scores.r_precision == pytest.approx((1.0 + 0.0) / 2)


def test_retrieval_in_small_blocks_is_the_same(monkeypatch):
    expected = metrics.retrieval_scores(*people_points(0))
    monkeypatch.setattr(metrics.retrieval, "_NEIGHBOURS_PER_BLOCK", 20)
    assert metrics.retrieval_scores(*people_points(0)) == expected


def test_retrieval_of_people_with_one_image_each_raises():
    with pytest.raises(ValueError, match="No person has two images.*3 images of 3 people"):
        metrics.retrieval_scores(np.eye(3), [0, 1, 2])


def random_clusters(seed):
    random = np.random.default_rng(seed)
    label = np.append(random.integers(-3, 4, 40), [9, 9])
    return random.integers(0, random.integers(1, 12), 42), label


@pytest.mark.parametrize("seed", range(10))
def test_clustering_scores_equal_oracles_and_scikit_learn(seed):
    cluster, label = random_clusters(seed)
    scores = metrics.clustering_scores(cluster, label)
    for found, expected in (
        (scores.pairwise, clustering.pairwise(cluster, label)),
        (scores.bcubed, clustering.bcubed(cluster, label)),
    ):
        assert (found.precision, found.recall) == pytest.approx(expected, abs=1e-12)
    (_, false), (missed, right) = pair_confusion_matrix(label, cluster)
    assert scores.pairwise.precision == pytest.approx(right / (right + false))
    assert scores.pairwise.recall == pytest.approx(right / (right + missed))
    expected = normalized_mutual_info_score(label, cluster)
    assert scores.nmi == pytest.approx(expected, abs=1e-12)
    assert (scores.num_clusters, scores.num_people) == (len(set(cluster)), len(set(label)))


def test_clusters_of_one_image_claim_nothing_wrong():
    scores = metrics.clustering_scores([0, 1, 2, 3], [7, 7, 8, 8])
    assert (scores.pairwise.precision, scores.pairwise.recall, scores.pairwise.f) == (1.0, 0.0, 0.0)
    assert (scores.bcubed.precision, scores.bcubed.recall) == (1.0, 0.5)
    assert metrics.clustering_scores([5, 5, 5, 5], [7, 7, 8, 8]).nmi == 0.0


@pytest.mark.parametrize(
    "cluster, label, message",
    [
        ([0, 1], [3, 3], "two people or more.*2 images of 1 people"),
        ([0, 1], [3, 4], "two images or more"),
        ([0], [3, 4], "cluster must be integers, one for each of 2"),
        ([0.5, 1.5], [3, 4], "cluster must be integers"),
    ],
)
def test_clusters_that_cannot_be_scored_raise(cluster, label, message):
    with pytest.raises(ValueError, match=message):
        metrics.clustering_scores(cluster, label)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.4, 1.0, 4.0])
def test_cluster_joins_by_mean_squared_distance(threshold):
    embedding, _ = people_points(1)
    found = metrics.cluster(embedding, threshold)
    groups = {frozenset(np.flatnonzero(found == one).tolist()) for one in set(found.tolist())}
    assert groups == clustering.average_linkage(embedding.astype(np.float32), threshold)
    _, first = np.unique(found, return_index=True)
    assert np.all(np.diff(first) > 0)


def test_linkages_differ_in_how_far_a_chain_reaches():
    degrees = np.deg2rad([0.0, 20.0, 40.0])
    embedding = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    # Neighbours are 0.121 apart, the ends 0.468, and the mean of both is 0.294.
    found = {
        (linkage, threshold): len(set(metrics.cluster(embedding, threshold, linkage).tolist()))
        for linkage in ("single", "average", "complete")
        for threshold in (0.2, 0.3, 0.5)
    }
    assert [found["single", t] for t in (0.2, 0.3, 0.5)] == [1, 1, 1]
    assert [found["average", t] for t in (0.2, 0.3, 0.5)] == [2, 1, 1]
    assert [found["complete", t] for t in (0.2, 0.3, 0.5)] == [2, 2, 1]
    assert metrics.cluster(embedding[:1], 0.2).tolist() == [0]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((-0.1,), r"in \[0, 4\]. Received: -0.1"),
        ((np.nan,), r"in \[0, 4\]"),
        ((1.0, "ward"), "average, complete, single. Received: 'ward'"),
    ],
)
def test_cluster_refuses_what_it_does_not_know(arguments, message):
    with pytest.raises(ValueError, match=message):
        metrics.cluster(np.eye(2), *arguments)


@pytest.mark.parametrize("name", ["agglomerative", "knn", "nearest"])
def test_examples(name):
    # By its name: the face of the package shows functions under some of these names.
    assert doctest.testmod(sys.modules[f"facezoo.metrics.{name}"]).failed == 0
