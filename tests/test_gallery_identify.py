"""Who a face is: indexes, candidates, votes, unknown people, and thresholds of a gallery."""

import importlib.util
import sys

import numpy as np
import pytest

from facezoo.gallery import (
    Faces,
    Gallery,
    Identifier,
    IdentifyOptions,
    calibrate,
    make_index,
)
from facezoo.gallery.identify import strangers_let_in
from facezoo.gallery.index import EXACT, FAISS, FAISS_IVF, INDEXES
from facezoo.metrics import Searches, knn_classify, search, tpir_at_fpir
from tests.gallery_people import BINDING, DIM, entries, unit

needs_faiss = pytest.mark.skipif(
    importlib.util.find_spec("faiss") is None, reason="faiss-cpu (extra `search`) is not installed"
)
EXACT_INDEXES = [EXACT, pytest.param(FAISS, marks=needs_faiss)]


def faces_of(some):
    """What a gallery with these entries would return."""
    some = sorted(some, key=lambda one: (one.picture.identity, one.picture.digest))
    people = tuple(sorted({one.picture.identity for one in some}))
    return Faces(
        people,
        np.array([people.index(one.picture.identity) for one in some]),
        np.stack([one.embedding for one in some]),
        tuple(one.picture.source for one in some),
    )


def probes(count, seed=1):
    return unit(np.random.default_rng(seed).normal(size=(count, DIM)))


def brute(probe, embedding, k):
    """All distances in float64, rounded as those of `verify`, ties to the first row."""
    difference = probe[:, None].astype(np.float64) - embedding[None]
    distance = np.square(difference).sum(axis=2).astype(np.float32)
    index = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distance, index, axis=1), index


@pytest.mark.parametrize("kind", EXACT_INDEXES)
class TestExactIndexes:
    def test_equal_the_brute_force(self, kind):
        embedding, probe = probes(300), probes(40, seed=2)
        for k in (1, 7, 300):
            for found, expected in zip(
                make_index(kind, embedding).search(probe, k),
                brute(probe, embedding, k),
                strict=True,
            ):
                np.testing.assert_array_equal(found, expected)

    def test_of_equal_rows_the_first_come_first(self, kind):
        """More equal rows than an index is asked for, and near ones that float32 cannot tell."""
        one, other = probes(2)
        near = unit(one + 1e-7 * other)
        embedding = np.stack([other, *[near] * 30, *[one] * 50, -one])
        distance, index = make_index(kind, embedding).search(one[None], 60)
        expected = brute(one[None], embedding, 60)
        np.testing.assert_array_equal(index, expected[1])
        np.testing.assert_array_equal(distance, expected[0])
        assert index[0, :50].tolist() == list(range(31, 81))

    def test_bad_input(self, kind):
        index = make_index(kind, probes(3))
        for k in (0, 4):
            with pytest.raises(ValueError, match=f"k must be from 1 to 3.*k={k}"):
                index.search(probes(1), k)
        with pytest.raises(ValueError, match="unit length"):
            index.search(np.full((1, DIM), np.nan), 1)
        with pytest.raises(ValueError, match="same length on both sides"):
            index.search([[1.0, 0.0]], 1)


@needs_faiss
class TestApproximateIndex:
    def test_finds_most_and_tells_distances_exactly(self):
        """People are cells; a search looks into a part of them."""
        embedding = faces_of(entries(100, 20, scatter=0.2, dim=32)).embedding
        index = make_index(FAISS_IVF, embedding)
        distance, found = index.search(embedding[::10], 5)
        expected_distance, expected = make_index(EXACT, embedding).search(embedding[::10], 5)
        same = found == expected
        assert same.mean() > 0.9
        np.testing.assert_array_equal(distance[same], expected_distance[same])

    def test_says_where_it_found_less(self):
        embedding = probes(2000)
        distance, found = make_index(FAISS_IVF, embedding).search(probes(3, seed=5), 1000)
        assert (found == -1).any()
        np.testing.assert_array_equal(np.isinf(distance), found == -1)

    def test_is_the_same_every_time(self):
        embedding, probe = probes(3000), probes(50, seed=3)
        one, other = (make_index(FAISS_IVF, embedding).search(probe, 9)[1] for _ in range(2))
        np.testing.assert_array_equal(one, other)


def test_missing_faiss_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.delitem(sys.modules, "facezoo.gallery.faiss_index", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'facezoo\[search\]'"):
        make_index(FAISS, probes(2))


def test_unknown_index_lists_the_known():
    with pytest.raises(ValueError, match=f"one of {', '.join(INDEXES)}. Received: 'annoy'"):
        make_index("annoy", probes(2))


class TestIdentifier:
    def test_candidates_are_people_nearest_first(self):
        faces = faces_of(entries(6, 5))
        probe = probes(20)
        found = Identifier(faces, IdentifyOptions(top=6))(probe, 4.0)
        distance = brute(probe, faces.embedding, 30)[0]
        for one, near in zip(found, distance, strict=True):
            assert sorted(candidate.identity for candidate in one.candidates) == list(faces.people)
            assert one.candidates[0].distance == near[0]
            assert one.identity == one.candidates[0].identity == one.best.identity
            distances = [candidate.distance for candidate in one.candidates]
            assert distances == sorted(distances)
            for candidate in one.candidates:
                rows = faces.label == faces.people.index(candidate.identity)
                assert candidate.source in np.array(faces.source)[rows]

    def test_tells_of_so_many_people_though_one_has_all_the_near_pictures(self):
        crowd = entries(1, 200, scatter=0.01)
        faces = faces_of([*crowd, *entries(5, 1, seed=4)[1:]])
        found = Identifier(faces, IdentifyOptions(top=3))(crowd[0].embedding[None], 1.0)[0]
        assert [one.identity for one in found.candidates][0] == "p000"
        assert len({one.identity for one in found.candidates}) == len(found.candidates) == 3

    @pytest.mark.parametrize("k", [1, 3, 10])
    def test_votes_as_knn_classify(self, k):
        faces, probe = faces_of(entries(8, 4, scatter=3.0)), probes(200)
        found = Identifier(faces, IdentifyOptions(k=k, top=1))(probe, 4.0)
        expected = knn_classify(probe, faces.embedding, faces.label, k)
        assert [one.identity for one in found] == [faces.people[label] for label in expected]

    def test_far_pictures_do_not_outvote_a_near_one(self):
        cosine = np.array([1.0, 0.7, 0.6, 0.9])
        embedding = np.stack([cosine, np.sqrt(1 - cosine**2)], axis=1)
        faces = Faces(("ann", "bob", "cid"), np.array([0, 1, 1, 2]), embedding, tuple("abcd"))
        identifier = Identifier(faces, IdentifyOptions(k=4))
        for threshold, identity, votes in ((0.1, "ann", [1, 0, 0]), (1.0, "bob", [1, 1, 2])):
            found = identifier([[1.0, 0.0]], threshold)[0]
            assert found.identity == found.best.identity == identity
            assert [one.identity for one in found.candidates] == ["ann", "cid", "bob"]
            assert [one.votes for one in found.candidates] == votes

    def test_unknown_beyond_the_threshold_and_known_at_it(self):
        faces, probe = faces_of(entries(4, 3)), probes(1)
        distance = Identifier(faces)(probe, None)[0].best.distance
        below = np.nextafter(distance, 0.0)
        known, unknown, undecided = (
            Identifier(faces)(probe, threshold)[0] for threshold in (distance, below, None)
        )
        assert known.identity == known.best.identity
        assert unknown.identity is undecided.identity is None

    def test_mean_compares_with_templates(self):
        faces, probe = faces_of(entries(5, 4)), probes(10)
        identifier = Identifier(faces, IdentifyOptions(rule="mean", top=2))
        mean = unit(np.stack([faces.embedding[faces.label == i].mean(axis=0) for i in range(5)]))
        distance, index = brute(probe, mean, 2)
        for one, near, rows in zip(identifier(probe, 4.0), distance, index, strict=True):
            assert [c.identity for c in one.candidates] == [faces.people[row] for row in rows]
            assert [c.source for c in one.candidates] == [None, None]
            np.testing.assert_allclose([c.distance for c in one.candidates], near, rtol=1e-5)
        assert identifier.num_compared == 5

    def test_opposite_pictures_have_no_mean(self):
        faces = Faces(("ann",), np.zeros(2, int), np.array([[1.0, 0], [-1, 0]]), ("a", "b"))
        with pytest.raises(ValueError, match="'ann' add up to zero"):
            Identifier(faces, IdentifyOptions(rule="mean"))

    @needs_faiss
    def test_finds_as_many_as_an_approximate_index_does(self):
        faces = faces_of(entries(400, 1))
        options = IdentifyOptions(top=400, index=FAISS_IVF)
        found = Identifier(faces, options)(faces.embedding[:2], 1.0)
        assert [one.identity for one in found] == ["p000", "p001"]
        assert all(len(one.candidates) < 400 for one in found)
        assert all(c.distance <= 4.0 for one in found for c in one.candidates)

    def test_nobody_is_enrolled(self, tmp_path):
        gallery = Gallery.create(tmp_path / "empty", BINDING, DIM)
        with pytest.raises(ValueError, match="The gallery is empty.*Enrol people first"):
            Identifier(gallery.faces())

    def test_more_voters_than_pictures(self):
        with pytest.raises(ValueError, match="k must be at most 4, .*Received: k=5"):
            Identifier(faces_of(entries(2, 2)), IdentifyOptions(k=5))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rule": "median"}, "rule must be one of nearest, mean. Received: 'median'"),
            ({"k": 0}, "k must be at least 1. Received: k=0"),
            ({"top": 0}, "top must be at least 1"),
            ({"index": "x"}, "index must be one of exact"),
            ({"rule": "mean", "k": 3}, "means do not: k must be 1 .*Received: k=3"),
        ],
    )
    def test_bad_options(self, options, message):
        with pytest.raises(ValueError, match=message):
            IdentifyOptions(**options)


class TestCalibrate:
    def left_out(self, faces, rule):
        """The slow way: a gallery made anew for every picture; returns labels and searches."""
        rank, distance = [], []
        for stranger in (False, True):
            for row in range(len(faces)):
                rest = np.arange(len(faces)) != row
                if stranger:
                    rest &= faces.label != faces.label[row]
                elif not rest[faces.label == faces.label[row]].any():
                    continue
                embedding, label = faces.embedding[rest], faces.label[rest]
                if rule == "mean":
                    people = np.unique(label)
                    embedding = unit([embedding[label == one].sum(axis=0) for one in people])
                    label = people
                own = [-1] if stranger else faces.label[row, None]
                found = search(faces.embedding[row, None], own, embedding, label)
                rank.extend(found.rank)
                distance.extend(found.distance)
        return np.array(rank), np.array(distance, np.float32)

    @pytest.mark.parametrize("rule", ["nearest", "mean"])
    def test_equals_leaving_out_by_hand(self, rule):
        faces = faces_of([*entries(12, 4, scatter=1.0), *entries(15, 1, seed=3)[12:]])
        rank, distance = self.left_out(faces, rule)
        for target in (0.2, 0.5):
            found = calibrate(faces, [target], rule, allow_few=True)[0]
            point = tpir_at_fpir(Searches(rank, distance), target, allow_few=True)
            assert found.threshold == pytest.approx(point.threshold, abs=1e-5)
            assert (found.tpir, found.fpir) == (point.tpir, point.fpir)
            assert (found.num_mated, found.num_strangers, found.num_people) == (48, 51, 15)

    def test_holds_for_other_strangers(self):
        everybody = faces_of(entries(400, 3, scatter=0.7, dim=32))
        inside = everybody.label < 200
        faces = Faces(
            everybody.people[:200],
            everybody.label[inside],
            everybody.embedding[inside],
            everybody.source[: inside.sum()],
        )
        strangers = everybody.embedding[~inside]
        found = calibrate(faces, [0.05])[0]
        answers = Identifier(faces)(strangers, found.threshold)
        assert np.mean([one.identity is not None for one in answers]) == pytest.approx(
            0.05, abs=0.03
        )
        assert found.tpir > 0.7

    def test_too_few_are_refused(self):
        with pytest.raises(ValueError, match="A FPIR of 0.01 takes 1,000 searches of strangers"):
            calibrate(faces_of(entries(10, 3)), [0.01])
        for faces in (entries(1, 5), entries(5, 1)):
            with pytest.raises(ValueError, match="somebody with two pictures or more. Received"):
                calibrate(faces_of(faces), [0.1])
        with pytest.raises(ValueError, match="rule must be one of"):
            calibrate(faces_of(entries(3, 3)), [0.1], rule="median")

    def test_large_galleries_are_sampled(self, monkeypatch):
        monkeypatch.setattr("facezoo.gallery.calibration._MOST_SEARCHES", 50)
        monkeypatch.setattr("facezoo.gallery.calibration._PAIRS_AT_ONCE", 1000)
        found = calibrate(faces_of(entries(40, 4)), [0.5])[0]
        assert (found.num_mated, found.num_strangers) == (50, 50)


def test_strangers_add_up():
    assert strangers_let_in(0.5, 2) == 0.75
    assert strangers_let_in(0.0, 1000) == 0.0
