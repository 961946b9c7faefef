"""Duplicate people: centres of heads, what speaks for a couple, groups, and published lists."""

import doctest
import json
import sys

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facezoo import curation, heads, metrics, registry
from facezoo.curation import DuplicatePeople, Faces, Person, find_duplicate_people
from facezoo.curation.centers import check_head, class_means, dominant_centers, head_centers
from facezoo.curation.groups import group_people
from facezoo.curation.likeness import Likeness
from facezoo.curation.person_neighbors import PersonNeighbors
from facezoo.data.couples import read_couples
from facezoo.margin_head import LinearHead
from tests.oracles import duplicate_people as oracle

DIM = 48


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def faces_of(shown, *, spread=0.5, seed=0, dataset="set"):
    """Faces of people `p0`, `p1` ..; `shown[p]` is who each picture of `p<p>` really shows."""
    random = np.random.default_rng(seed)
    directions = unit(random.normal(size=(40, DIM)))
    who = np.concatenate(shown)
    noise = unit(random.normal(size=(len(who), DIM)))
    embedding = unit(directions[who] + spread * noise)
    label = np.repeat(np.arange(len(shown)), [len(one) for one in shown])
    people = tuple(Person(dataset, f"p{row}") for row in range(len(shown)))
    file = tuple(f"{row}.png" for row in range(len(who)))
    return Faces(people, label, file, embedding, np.ones(len(who)))


def strangers(count=20, images=4):
    """Everybody shows themselves."""
    return [[row] * images for row in range(count)]


def with_couples(*couples, count=20, images=4):
    """Strangers, and after them further names of some of them: (whom they show, how often)."""
    return faces_of([*strangers(count, images), *([who] * times for who, times in couples)])


def couples_of(findings, action="merge"):
    """(who leaves, who stays) of everybody with that action."""
    chosen = [one.subject for one in findings if one.action == action]
    return {(one.person.identity, one.other.identity) for one in chosen}


def pictures_of(faces):
    return [faces.embedding[faces.label == row].astype(float) for row in range(faces.num_people)]


class TestHeadCenters:
    @pytest.mark.parametrize("name", registry.names("head"))
    def test_the_cosines_of_a_head_are_those_with_its_centers(self, name):
        cls, arguments = registry.get("head", name)
        head = cls(**{**arguments, **cls.TINY})
        head.build((None, 4))
        if isinstance(head, LinearHead):
            with pytest.raises(ValueError, match="linear classifier with a bias. Take a model"):
                head_centers(head)
            return
        head.set_weights([np.random.default_rng(0).normal(size=w.shape) for w in head.weights])
        centers = head_centers(head)
        assert centers.dtype == np.float32 and centers.shape[::2] == (5, 4)
        np.testing.assert_allclose(np.linalg.norm(centers, axis=-1), 1.0, atol=1e-6)
        embedding = unit(np.random.default_rng(1).normal(size=(6, 4))).astype(np.float32)
        expected = np.einsum("nd,ckd->nck", embedding, centers).max(axis=2)
        np.testing.assert_allclose(head.similarity(embedding), expected, atol=1e-5)

    def test_several_sets_stand_below_each_other(self):
        parts = [heads.CosFace(2), heads.SubCenterArcFace(1, centers_per_class=3)]
        head = heads.ConcatHead(parts, names=["a", "b"])
        head.build((None, 4))
        centers = head_centers(head)
        first, second = (head_centers(part) for part in parts)
        np.testing.assert_array_equal(centers[:2], np.repeat(first, 3, axis=1))
        np.testing.assert_array_equal(centers[2:], second)

    def test_a_center_of_zeros_stays_one(self):
        head = heads.NormFace(2)
        head.build((None, 2))
        head.set_weights([np.array([[0.0, 0.0], [0.0, 4.0]])])
        assert head_centers(head).tolist() == [[[0.0, 0.0]], [[0.0, 1.0]]]

    def test_what_has_no_centers_is_refused(self):
        for head, message in (
            (heads.ArcFace(3), "a built head .* Received: ArcFace, not built yet"),
            (None, "Received: NoneType"),
        ):
            with pytest.raises(ValueError, match=message):
                head_centers(head)
        head = heads.ArcFace(3)
        head.build((None, 2))
        head.set_weights([np.array([[1.0, np.nan, 1.0], [0.0, 1.0, np.inf]])])
        with pytest.raises(ValueError, match="in those of 2 of 3 classes, the first 1"):
            head_centers(head)


class TestCheckHead:
    faces = faces_of(strangers(6, 3))
    centers = class_means(faces)[:, None]

    def test_centers_of_these_people_pass_also_as_sub_centers(self):
        check_head(self.centers, self.faces)
        junk = faces_of(strangers(6, 1), seed=9).embedding[:, None]
        check_head(np.concatenate([junk, self.centers, np.zeros_like(junk)], axis=1), self.faces)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: np.roll(c, 1, axis=0), "Only 0.0% of 6 people .* another model's head"),
            (lambda c: c[[0, 1, 3, 4, 5, 2]], "Only 33.3% of 6 people"),
            (lambda c: c[:5], r"\[6, K, 48\].* Received: \[5, 1, 48\]"),
            (lambda c: np.repeat(c, 2, axis=0), "Classes without pictures must be left out"),
            (lambda c: c[:, :, :40], r"Received: \[6, 1, 40\]. Is it another"),
            (lambda c: c[:, 0], r"Received: \[6, 48\]"),
            (lambda c: c * (np.arange(6) != 2)[:, None, None], "1 of 6 classes .* first set/p2"),
        ],
    )
    def test_another_head_is_noticed(self, change, message):
        with pytest.raises(ValueError, match=message):
            check_head(change(self.centers), self.faces)

    def test_half_of_the_people_are_enough(self):
        check_head(self.centers[[0, 1, 2, 4, 5, 3]], self.faces)


def test_the_dominant_center_is_the_one_with_the_most_pictures():
    faces = faces_of([[0, 0, 1], [2, 2, 2]], spread=0.1)
    directions = np.stack([faces.embedding[row] for row in (2, 0, 3)])
    centers = np.stack([directions[[0, 1]], directions[[2, 0]]])
    np.testing.assert_array_equal(dominant_centers(centers, faces), directions[[1, 2]])


def test_means_of_opposite_pictures_are_zeros():
    faces = faces_of([[0, 1], [2]])
    opposite = np.stack([faces.embedding[0], -faces.embedding[0], faces.embedding[2]])
    faces = Faces(faces.people, faces.label, faces.file, opposite, faces.norm)
    assert not class_means(faces)[0].any()
    assert find_duplicate_people(faces) == []


class TestEvidence:
    faces = faces_of([[0] * 5, [0] * 3, [1], [2] * 2, [1], [3] * 4, [4] * 2, [5], [6]])
    pairs = np.array([(a, b) for a in range(9) for b in range(9) if a != b])

    def test_means_from_sums_equal_those_of_all_pairs(self):
        likeness, pictures = Likeness.of(self.faces), pictures_of(self.faces)
        inside = [oracle.mean_cosine(some) for some in pictures]
        expected = np.array([np.nan if one is None else one for one in inside])
        np.testing.assert_allclose(likeness.inside, expected, atol=1e-6)
        between = [oracle.mean_cosine(pictures[a], pictures[b]) for a, b in self.pairs]
        np.testing.assert_allclose(likeness.between(self.pairs), between, atol=1e-6)
        agreement = [oracle.agreement(pictures, a, b) for a, b in self.pairs]
        np.testing.assert_allclose(likeness.agreement(self.pairs), agreement, atol=1e-6)

    def test_nearness_equals_comparing_all_with_all(self):
        center = class_means(self.faces)
        neighbors = PersonNeighbors.search(center, 10)
        expected = [oracle.nearness(center.astype(float), a, b) for a, b in self.pairs]
        np.testing.assert_allclose(neighbors.nearness(self.pairs), expected, rtol=1e-4)

    def test_where_all_are_one_nobody_is_nearer_than_strangers(self):
        neighbors = PersonNeighbors.search(np.eye(1, DIM, dtype=np.float32)[[0] * 30], 6)
        couples = np.array([(0, 1), (3, 20), (28, 29)])
        np.testing.assert_allclose(neighbors.nearness(couples), 1.0)

    def test_of_two_people_nothing_is_known_but_themselves(self):
        neighbors = PersonNeighbors.search(class_means(self.faces)[:2], 6)
        assert np.isnan(neighbors.nearness(np.array([[0, 1]]))).all()
        found = find_duplicate_people(faces_of([[0] * 4, [0] * 4]))
        assert [(one.action, one.score) for one in found] == [("keep", 0.0)]
        assert found[0].evidence["nearness"] is None

    def test_the_table_says_what_was_found(self):
        faces = with_couples((3, 2))
        (found,) = [one for one in find_duplicate_people(faces) if one.action == "merge"]
        pictures, evidence = pictures_of(faces), found.evidence
        cosine = pictures[20] @ pictures[3].T
        row, column = np.unravel_index(cosine.argmax(), cosine.shape)
        center = class_means(faces).astype(float)
        expected = {
            "cosine": center[20] @ center[3],
            "inside": oracle.mean_cosine(pictures[20]),
            "inside_other": oracle.mean_cosine(pictures[3]),
            "between": oracle.mean_cosine(pictures[20], pictures[3]),
            "agreement": oracle.agreement(pictures, 20, 3),
            "nearness": oracle.nearness(center, 20, 3),
            "images": 2,
            "images_other": 4,
            "picture": f"{80 + row}.png",
            "picture_other": f"{12 + column}.png",
            "picture_cosine": cosine.max(),
        }
        numbers = {name: value for name, value in expected.items() if not isinstance(value, str)}
        assert evidence == {**expected, **{name: evidence[name] for name in numbers}}
        assert {name: evidence[name] for name in numbers} == pytest.approx(numbers, abs=1e-3)
        assert found.score == pytest.approx(1 - expected["nearness"], abs=1e-3)


class TestFind:
    def test_planted_couples_are_found_and_nobody_else(self):
        faces = with_couples((3, 2), (7, 4), (11, 9), (12, 1))
        found = find_duplicate_people(faces)
        # The one with more pictures stays; of equal ones the first.
        expected = {("p20", "p3"), ("p21", "p7"), ("p11", "p22"), ("p23", "p12")}
        assert couples_of(found) == expected
        assert {one.rule for one in found} == {"duplicate_person"}
        assert find_duplicate_people(faces) == found
        assert json.loads(json.dumps([one.evidence for one in found])) == [
            one.evidence for one in found
        ]
        merges = [one.score for one in found if one.action == "merge"]
        assert merges == sorted(merges, reverse=True)

    def test_several_names_of_one_person_are_merged_into_the_largest(self):
        found = find_duplicate_people(with_couples((3, 4), (3, 7), (3, 2), (5, 3)))
        expected = {("p3", "p21"), ("p20", "p21"), ("p22", "p21"), ("p23", "p5")}
        assert couples_of(found) == expected

    def test_couples_told_apart_do_not_meet_in_a_group(self):
        faces = with_couples((3, 4), (3, 3))
        p3, p20 = faces.people[3], faces.people[20]
        found = find_duplicate_people(faces, separate=frozenset({frozenset({p3, p20})}))
        apart = {frozenset({"p3", "p20"})}
        assert apart.isdisjoint(map(frozenset, couples_of(found) | couples_of(found, "keep")))
        ((leaves, stays),) = couples_of(found)
        ((refused, _),) = couples_of(found, "keep")
        assert leaves == "p21" and {stays, refused} <= {"p3", "p20", "p21"}
        assert [one.evidence.get("refused") for one in found] == [None, "chain"]

    def test_unknown_people_told_apart_are_refused(self):
        faces = with_couples()
        for couple in ({Person("set", "p0"), Person("set", "nobody")}, {Person("set", "p0")}):
            with pytest.raises(ValueError, match="couples of two of the people. Received: .*set/"):
                find_duplicate_people(faces, separate=frozenset({frozenset(couple)}))

    @pytest.mark.parametrize("action", ["drop", "keep"])
    def test_what_is_done_is_an_option(self, action):
        found = find_duplicate_people(with_couples((3, 2)), DuplicatePeople(duplicates=action))
        assert couples_of(found, action) == {("p20", "p3")}
        assert not couples_of(found)

    @pytest.mark.parametrize(
        ("options", "num_merged", "num_kept"),
        [
            ({}, 1, 0),
            ({"threshold": 0.99}, 0, 0),
            ({"agreement": 1.5}, 0, 1),
            ({"nearness": 0.0, "doubtful_nearness": 0.0}, 0, 0),
            ({"nearness": 0.0}, 0, 1),
            ({"nearness": None, "threshold": -1.0, "num_neighbors": 20}, 1, 209),
            ({"nearness": None, "agreement": 1.5, "num_neighbors": 1}, 0, 1),
        ],
    )
    def test_each_option_has_its_say(self, options, num_merged, num_kept):
        found = find_duplicate_people(with_couples((3, 4)), DuplicatePeople(**options))
        counts = len(couples_of(found)), len(couples_of(found, "keep"))
        assert counts == (num_merged, num_kept)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"threshold": 1.1}, r"threshold must be a cosine in \[-1, 1\]. Received: 1.1"),
            ({"threshold": float("nan")}, "threshold must be"),
            ({"num_neighbors": 0}, "num_neighbors must be at least 1. Received: 0"),
            ({"agreement": 0.0}, "agreement must be above 0"),
            ({"nearness": 1.5}, r"nearness must be in \[0, 1\], or None. Received: 1.5"),
            ({"nearness": 0.8}, "doubtful_nearness must be nearness or more. Received: 0.7"),
            ({"duplicates": "join"}, "one of drop, merge, keep. Received: 'join'"),
        ],
    )
    def test_options_out_of_range_are_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            DuplicatePeople(**options)

    def test_a_crowd_is_not_one_person(self):
        """Children: all are alike, so that to be alike says nothing."""
        crowd = unit(faces_of(strangers(20, 4)).embedding + 3 * unit(np.ones(DIM)))
        faces = faces_of(strangers(20, 4))
        faces = Faces(faces.people, faces.label, faces.file, crowd, faces.norm)
        assert PersonNeighbors.search(class_means(faces), 1).cosine.min() > 0.9
        assert couples_of(find_duplicate_people(faces)) == set()

    def test_a_chain_of_links_is_cut(self):
        """A is like B, B is like C, but A is not like C: the weaker link is kept for a look."""
        random = np.random.default_rng(0)
        angle = np.deg2rad([0.0, 40.0, 82.0])
        chain = np.zeros((3, DIM))
        chain[:, 0], chain[:, 1] = np.cos(angle), np.sin(angle)
        others = unit(random.normal(size=(20, DIM)) * (np.arange(DIM) > 1))
        embedding = np.repeat(np.concatenate([chain, others]), 2, axis=0)
        label = np.repeat(np.arange(23), 2)
        people = tuple(Person("set", f"p{row}") for row in range(23))
        file = tuple(map(str, range(46)))
        faces = Faces(people, label, file, embedding, np.ones(46))
        found = find_duplicate_people(faces, DuplicatePeople(agreement=0.7))
        assert couples_of(found) == {("p1", "p0")}
        (kept,) = [one for one in found if one.action == "keep"]
        assert kept.evidence["refused"] == "chain"
        assert {kept.subject.person.identity, kept.subject.other.identity} == {"p1", "p2"}

    def test_dominant_centers_of_a_head_decide_where_they_are_given(self):
        faces = with_couples((3, 4))
        apart = class_means(faces_of(strangers(21), seed=5))
        assert couples_of(find_duplicate_people(faces, centers=apart[:, None])) == set()
        # One sub-centre each is junk that all share: it is no witness.
        junk = np.tile(-class_means(faces)[:1], (21, 1))
        centers = np.stack([junk, class_means(faces)], axis=1)
        found = find_duplicate_people(faces, centers=centers)
        assert couples_of(found) == {("p20", "p3")}

    def test_one_person_alone_has_no_duplicate(self):
        assert find_duplicate_people(faces_of([[0, 0]])) == []


class TestGroups:
    @pytest.mark.parametrize("seed", range(5))
    def test_without_a_guard_they_are_connected_components(self, seed):
        random = np.random.default_rng(seed)
        links, score = random.integers(0, 40, (25, 2)), random.random(25)
        found = group_people(40, links, score, lambda one, other: True)
        graph = coo_array((np.ones(25), links.T), shape=(40, 40))
        expected = connected_components(graph, directed=False)[1]
        np.testing.assert_array_equal(found, expected)

    def test_the_guard_sees_the_whole_of_both_groups_the_surest_link_first(self):
        seen = []

        def guard(one, other):
            seen.append((one.tolist(), other.tolist()))
            return True

        group_people(5, [(3, 4), (0, 1), (1, 3), (0, 4)], [0.7, 0.9, 0.5, 0.1], guard)
        assert seen == [([0], [1]), ([3], [4]), ([0, 1], [3, 4])]

    def test_people_told_apart_stay_so_through_any_chain(self):
        links = [(0, 1), (1, 2), (2, 3)]
        found = group_people(4, links, [0.7, 0.9, 0.8], lambda one, other: True, [(3, 0)])
        assert found.tolist() == [0, 1, 1, 1]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([(0, 1)], []), "a number for each of 1 couples"),
            (([(0, 1)], [np.nan]), "1 of them NaN"),
            (([(0, 5)], [1.0]), "rows of 3 people. Received: 0 to 5"),
        ],
    )
    def test_links_that_do_not_fit_are_refused(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            group_people(3, *arguments, lambda one, other: True)


@pytest.fixture
def published(tmp_path):
    def read(text, *names):
        """Reads a list about sets of five people each, one picture more for each."""
        some = [faces_of([[row] * (row + 1) for row in range(5)], dataset=name) for name in names]
        faces = Faces(
            sum((one.people for one in some), ()),
            np.concatenate([one.label + 5 * place for place, one in enumerate(some)]),
            tuple(
                f"{name}{file}" for name, one in zip(names, some, strict=True) for file in one.file
            ),
            np.concatenate([one.embedding for one in some]),
            np.concatenate([one.norm for one in some]),
        )
        path = tmp_path / "list.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return curation.read_published(path, faces)

    return read


class TestPublished:
    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("set/p4 set/p1", ["set"]),
            ("p4\tp1\t0.8\n", ["set"]),
            ("1 4 0.8\r\n", ["set"]),
            ("set/1 set/4", ["other", "set"]),
            ("\ufeff# who\n\n set/p1  set/p4 ", ["set/p", "set"]),
        ],
    )
    def test_every_form_of_an_id(self, published, text, names):
        (found,) = published(text, *names)
        assert (found.rule, found.action) == ("published_list", "merge")
        assert str(found.subject) == "set/p1 and set/p4"

    def test_scores_and_lines_are_evidence(self, published):
        first, second, third = published("p0 p1 0.25\n#\np1 p2\np1 p0\np3 p4 7.5", "set")
        assert (first.score, first.evidence) == (
            0.25,
            {"list": "list.txt", "line": 1, "score": 0.25},
        )
        assert (second.score, second.evidence["score"]) == (1.0, None)
        assert (third.score, third.evidence) == (1.0, {"list": "list.txt", "line": 5, "score": 7.5})

    @pytest.mark.parametrize(
        ("text", "names", "message"),
        [
            ("p0 p1\np0 p44", ["set"], "line 2: Nobody in the .* 'set' is called 'p44'. Did you"),
            ("p0 p1\np2 3", ["set"], "line 2: Nobody .* is called '3'"),
            ("0 1\n2 5", ["set"], "line 2: .* class number: they are 0 to 4"),
            ("0 1", ["set", "other"], "line 1: A person is set/name, the set one of set, other"),
            ("p0 p1", ["set", "other"], "line 1: .* Expected: set/p0 or other/p0"),
            ("x/0 set/1", ["set"], "line 1: Nobody .* is called 'x/0', nor has"),
            ("p0", ["set"], "line 1: Expected two people"),
            ("p0\t\t0.5", ["set"], "line 1: Expected two people"),
            ("p0 p1 nan", ["set"], "line 1: Expected two people"),
            ("p0 set/p0", ["set"], "line 1: two people are expected. Received: set/p0 twice"),
            ("# nothing\n", ["set"], "must name two people to a line"),
            (b"\xff\xfe", ["set"], "must be text in UTF-8"),
        ],
    )
    def test_a_list_of_other_data_is_refused(self, published, text, names, message):
        with pytest.raises(ValueError, match=message):
            published(text, *names)

    def test_names_that_are_numbers_are_names(self, tmp_path):
        faces = faces_of([[0], [1], [2]])
        people = tuple(Person("set", name) for name in ("2", "0", "7"))
        faces = Faces(people, faces.label, faces.file, faces.embedding, faces.norm)
        path = tmp_path / "list.txt"
        path.write_text("0 2")
        (found,) = curation.read_published(path, faces)
        assert str(found.subject) == "set/0 and set/2"
        path.write_text("0 1")
        with pytest.raises(ValueError, match="line 1: Nobody .* is called '1'"):
            curation.read_published(path, faces)

    def test_a_list_that_is_not_there(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_couples(tmp_path / "none.txt")


class TestNearestOthers:
    @pytest.mark.parametrize("k", [1, 3, 39])
    def test_equals_sorting_all_others(self, k):
        rows = unit(np.random.default_rng(0).normal(size=(40, 5)))
        apart = 2 - 2 * rows @ rows.T
        np.fill_diagonal(apart, np.inf)
        distance, index = metrics.nearest_others(rows, k)
        np.testing.assert_array_equal(index, np.argsort(apart, axis=1)[:, :k])
        np.testing.assert_allclose(distance, np.sort(apart, axis=1)[:, :k], atol=1e-6)

    def test_nobody_finds_itself_among_many_equal_rows(self):
        _, index = metrics.nearest_others(np.eye(2)[[0] * 30], 4)
        assert index.shape == (30, 4) and not (index == np.arange(30)[:, None]).any()

    @pytest.mark.parametrize("k", [0, 3])
    def test_k_is_of_the_others(self, k):
        with pytest.raises(ValueError, match=f"k must be from 1 to 2, .* Received: k={k}"):
            metrics.nearest_others(np.eye(3), k)


@pytest.mark.parametrize("name", ["curation.centers", "curation.groups"])
def test_examples(name):
    assert doctest.testmod(sys.modules[f"facezoo.{name}"]).failed == 0
