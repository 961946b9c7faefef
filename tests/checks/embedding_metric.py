"""What every metric of embeddings and labels must do; `METRICS` lists them with what is known."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import sklearn.cluster
import sklearn.metrics
import sklearn.neighbors

from facezoo import metrics
from tests.oracles import clustering, identification, retrieval


@dataclass(frozen=True)
class EmbeddingMetricCase:
    """A metric and what is known of it.

    Args:
        function: (embedding, label) -> number. A metric of probes and a gallery takes every third
            image for a probe.
        hand: Its value on `hand_example`.
        chance: Interval that holds its value on `random_points`.
        oracle: The slow formula.
        reference: The same from scikit-learn; None where it has none.
    """

    function: Callable
    hand: float
    chance: tuple[float, float]
    oracle: Callable
    reference: Callable | None = None


def hand_example():
    """Points on a circle, at degrees; person 0 has one of its images among those of person 1."""
    degrees = np.array([0.0, 40.0, 10.0, 90.0, 47.0, 95.0])
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1), np.array([0, 0, 0, 1, 1, 1])


def separated_points():
    """Each person lies closer together than any two people."""
    label = np.repeat([5, 2, 9], 6)
    random = np.random.default_rng(0)
    return unit(np.eye(3)[np.repeat(np.arange(3), 6)] + 0.05 * random.normal(size=(18, 3))), label


def random_points():
    """40 people of 6 images each, about whom the embedding says nothing."""
    random = np.random.default_rng(1)
    return unit(random.normal(size=(240, 16))), np.repeat(np.arange(40), 6)


def people_points(seed):
    """People who overlap, with different numbers of images, everybody among the gallery."""
    random = np.random.default_rng(seed)
    label = random.permutation(np.repeat(np.arange(9), random.integers(4, 9, 9)))
    # Of everybody's first three images, two are in the gallery of `halves`.
    label = np.concatenate([np.repeat(np.arange(9), 3), label])
    return unit(
        random.normal(size=(9, 5))[label] + 0.7 * random.normal(size=(len(label), 5))
    ), label


def unit(embedding):
    return embedding / np.linalg.norm(embedding, axis=1, keepdims=True)


def halves(embedding, label):
    """(probe, probe label, gallery, gallery label)."""
    probe = np.arange(len(label)) % 3 == 1
    return embedding[probe], label[probe], embedding[~probe], label[~probe]


def _open_set(embedding, label):
    """As `halves`, but the gallery has only some of the people."""
    probe, probe_label, gallery, gallery_label = halves(embedding, label)
    known = np.isin(gallery_label, np.unique(gallery_label)[::2])
    return probe, probe_label, gallery[known], gallery_label[known]


def _searched(function, split=halves):
    return lambda embedding, label: function(metrics.search(*split(embedding, label)))


def _rank_oracle(k):
    def function(embedding, label):
        ranks, _ = identification.search(*halves(embedding, label))
        return np.mean([rank <= k for rank in ranks])

    return function


def _tpir(searches):
    return metrics.tpir_at_fpir(searches, 0.3, allow_few=True).tpir


def _knn(k):
    return lambda embedding, label: metrics.knn_accuracy(*halves(embedding, label), k)


def _knn_oracle(k):
    def function(embedding, label):
        probe, probe_label, gallery, gallery_label = halves(embedding, label)
        return np.mean(identification.knn(probe, gallery, gallery_label, k) == probe_label)

    return function


def _knn_reference(embedding, label):
    probe, probe_label, gallery, gallery_label = halves(embedding, label)
    classifier = sklearn.neighbors.KNeighborsClassifier(1).fit(gallery, gallery_label)
    return classifier.score(probe, probe_label)


def _clustered(number):
    return lambda embedding, label: number(metrics.cluster(embedding, 0.4), label)


def _oracle_clusters(embedding):
    found = clustering.average_linkage(embedding, 0.4)
    return np.array(
        [next(n for n, one in enumerate(found) if i in one) for i in range(len(embedding))]
    )


def _sklearn_clusters(embedding):
    distance = sklearn.metrics.pairwise_distances(embedding, metric="sqeuclidean")
    return sklearn.cluster.AgglomerativeClustering(
        None, metric="precomputed", linkage="average", distance_threshold=0.4
    ).fit_predict(distance)


def _f(precision, recall):
    return 2 * precision * recall / (precision + recall)


METRICS = {
    "rank_1": EmbeddingMetricCase(
        _searched(metrics.rank_k),
        hand=0.5,
        chance=(0.0, 0.1),
        oracle=_rank_oracle(1),
        reference=_knn_reference,
    ),
    "rank_2": EmbeddingMetricCase(
        _searched(lambda searches: metrics.rank_k(searches, 2)),
        hand=1.0,
        chance=(0.0, 0.15),
        oracle=_rank_oracle(2),
    ),
    # Half of the people are in the gallery.
    "tpir_at_fpir": EmbeddingMetricCase(
        _searched(_tpir, _open_set),
        hand=1.0,
        chance=(0.0, 0.1),
        oracle=lambda *points: identification.tpir_at_fpir(
            *identification.search(*_open_set(*points)), 0.3
        ),
    ),
    "knn_1": EmbeddingMetricCase(_knn(1), 0.5, (0.0, 0.1), _knn_oracle(1), _knn_reference),
    "knn_3": EmbeddingMetricCase(_knn(3), 0.5, (0.0, 0.1), _knn_oracle(3)),
    "precision_at_1": EmbeddingMetricCase(
        lambda *points: metrics.retrieval_scores(*points).precision_at_1,
        hand=4 / 6,
        chance=(0.0, 0.07),
        oracle=lambda *points: retrieval.retrieval(*points)[0],
    ),
    "r_precision": EmbeddingMetricCase(
        lambda *points: metrics.retrieval_scores(*points).r_precision,
        hand=4.5 / 6,
        chance=(0.005, 0.05),
        oracle=lambda *points: retrieval.retrieval(*points)[1],
    ),
    "map_at_r": EmbeddingMetricCase(
        lambda *points: metrics.retrieval_scores(*points).map_at_r,
        hand=4.25 / 6,
        chance=(0.0, 0.03),
        oracle=lambda *points: retrieval.retrieval(*points)[2],
    ),
    "pairwise_f": EmbeddingMetricCase(
        _clustered(lambda *found: metrics.clustering_scores(*found).pairwise.f),
        hand=4 / 9,
        chance=(0.0, 0.06),
        oracle=lambda embedding, label: _f(
            *clustering.pairwise(_oracle_clusters(embedding), label)
        ),
    ),
    "bcubed_f": EmbeddingMetricCase(
        _clustered(lambda *found: metrics.clustering_scores(*found).bcubed.f),
        hand=_f(5 / 6, 5 / 9),
        chance=(0.15, 0.35),
        oracle=lambda embedding, label: _f(*clustering.bcubed(_oracle_clusters(embedding), label)),
    ),
    # It is not adjusted for chance: as many small clusters tell a lot by themselves.
    "nmi": EmbeddingMetricCase(
        _clustered(lambda *found: metrics.clustering_scores(*found).nmi),
        hand=4 / 3 * math.log(2) / math.log(6),
        chance=(0.7, 0.9),
        oracle=lambda embedding, label: sklearn.metrics.normalized_mutual_info_score(
            label, _oracle_clusters(embedding)
        ),
        reference=lambda embedding, label: sklearn.metrics.normalized_mutual_info_score(
            label, _sklearn_clusters(embedding)
        ),
    ),
}


def check_hand_example(case):
    assert case.function(*hand_example()) == pytest.approx(case.hand, abs=1e-12)


def check_perfect_separation(case):
    assert case.function(*separated_points()) == 1.0


def check_random_points_give_chance(case):
    low, high = case.chance
    assert low <= case.function(*random_points()) <= high


def check_unchanged_by_a_rotation(case):
    embedding, label = people_points(0)
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(5, 5)))
    assert case.function(embedding @ rotation, label) == case.function(embedding, label)


def check_unchanged_by_other_numbers_for_people(case):
    embedding, label = people_points(0)
    # Sums over people add up in another order.
    expected = pytest.approx(case.function(embedding, label), rel=1e-12)
    assert case.function(embedding, 1000 - 7 * label) == expected


def check_equals_oracle(case):
    for points in map(people_points, range(8)):
        assert case.function(*points) == pytest.approx(case.oracle(*points), abs=1e-12)


def check_equals_scikit_learn(case):
    if case.reference is not None:
        for points in map(people_points, range(8)):
            assert case.function(*points) == pytest.approx(case.reference(*points), abs=1e-12)


def check_lengths_other_than_one_raise(case):
    embedding, label = people_points(0)
    for bad in (np.nan, np.inf, 3.0):
        wrong = embedding.copy()
        # A probe where the metric has probes.
        wrong[4] *= bad
        with pytest.raises(ValueError, match="unit length"):
            case.function(wrong, label)


def check_wrong_shapes_raise(case):
    embedding, label = people_points(0)
    with pytest.raises(ValueError, match=r"\[N, D\]"):
        case.function(embedding[:, 0], label)
    with pytest.raises(ValueError, match="must be integers"):
        case.function(embedding, label.astype(float))


def check_inputs_are_left_alone(case):
    embedding, label = people_points(0)
    before = embedding.copy(), label.copy()
    case.function(embedding, label)
    np.testing.assert_array_equal(embedding, before[0])
    np.testing.assert_array_equal(label, before[1])


CHECKS = {name: check for name, check in sorted(globals().items()) if name.startswith("check_")}
