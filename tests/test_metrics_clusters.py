"""Clusters in blocks: equal to a table of all distances, and what shapes say of them."""

import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform

from facezoo import metrics
from facezoo.metrics import average_linkage, single_linkage


def people(seed, num_images, dim=6, spread=0.4):
    """Images of some people, a third of them equal to others."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(max(1, num_images // 4), dim))
    embedding = centers[random.integers(0, len(centers), num_images)]
    embedding = embedding + spread * random.normal(size=embedding.shape)
    copied = random.random(num_images) < 0.33
    embedding[copied] = embedding[random.integers(0, num_images, copied.sum())]
    length = np.linalg.norm(embedding, axis=1, keepdims=True)
    return (embedding / length).astype(np.float32)


def by_table(embedding, threshold, linkage):
    tree = hierarchy.linkage(pdist(embedding, "sqeuclidean"), linkage)
    found = hierarchy.fcluster(tree, threshold + 1e-6, "distance")
    _, first, number = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number]


@pytest.mark.parametrize("linkage", metrics.LINKAGES)
@pytest.mark.parametrize("num_images", [2, 3, 17, 90])
def test_equal_to_a_table_of_all_distances(linkage, num_images, monkeypatch):
    # So small that a cluster lies across blocks.
    for module, name in (
        (single_linkage, "_ROWS_PER_BLOCK"),
        (average_linkage, "_ROWS_PER_BLOCK"),
        (average_linkage, "_COLUMNS_PER_BLOCK"),
    ):
        monkeypatch.setattr(module, name, 8)
    sizes = set()
    for seed in range(8):
        embedding = people(seed, num_images)
        for threshold in (0.0, 0.1, 0.5, 1.0, 2.0, 4.0):
            found = metrics.cluster(embedding, threshold, linkage)
            assert np.array_equal(found, by_table(embedding, threshold, linkage)), (seed, threshold)
            sizes.add(found.max() + 1)
    assert len(sizes) > 1 and min(sizes) == 1


@pytest.mark.parametrize("linkage", metrics.LINKAGES)
def test_equal_pictures_are_joined_at_zero(linkage):
    embedding = people(0, 40, dim=512)[np.arange(80) // 2]
    found = metrics.cluster(embedding, 0.0, linkage)
    assert np.array_equal(found[::2], found[1::2])


def test_clusters_that_prefer_others_in_a_ring_are_joined():
    """Where rounding makes distances unequal in the two directions, nobody may wait for ever."""
    pool = average_linkage._Pool.of(np.eye(3, dtype=np.float32))
    pool.nearest[:], pool.distance[:] = [1, 2, 0], [0.5, 0.3, 0.4]
    first, second = pool.couples()
    assert (first.tolist(), second.tolist()) == ([1], [2])


class TestShapes:
    def test_means_of_all_pairs(self):
        embedding = people(1, 60)
        found = metrics.cluster(embedding, 0.5)
        distance = squareform(pdist(embedding.astype(np.float64), "sqeuclidean"))
        shapes = metrics.cluster_shapes(embedding, found)
        assert np.array_equal(shapes.size, np.bincount(found))
        assert (shapes.size == 1).any() and (shapes.size > 2).any()
        for place, size in enumerate(shapes.size):
            own = found == place
            inside = distance[np.ix_(own, own)]
            if size == 1:
                assert np.isnan([shapes.inside[place], *shapes.to_others[own]]).all()
            else:
                mean = inside.sum() / (size * (size - 1))
                assert shapes.inside[place] == pytest.approx(mean, abs=1e-5)
                to_others = inside.sum(axis=1) / (size - 1)
                np.testing.assert_allclose(shapes.to_others[own], to_others, atol=1e-5)
            between = [
                distance[np.ix_(own, found == other)].mean() for other in range(max(found) + 1)
            ]
            between[place] = np.inf
            assert shapes.nearest[place] == np.argmin(between)
            assert shapes.distance[place] == pytest.approx(min(between), abs=1e-5)

    def test_one_cluster_has_no_other(self):
        shapes = metrics.cluster_shapes(np.eye(2), [0, 0])
        assert (shapes.nearest.tolist(), np.isnan(shapes.distance).all()) == ([-1], True)

    @pytest.mark.parametrize("numbers", [[0, 2], [-1, 0], [1, 1]])
    def test_numbers_that_are_no_clusters(self, numbers):
        with pytest.raises(ValueError, match="numbers from 0 to K - 1"):
            metrics.cluster_shapes(np.eye(2), numbers)
