"""Wrong labels: leave-one-out fits, the three rules and out-of-fold models, and their vote."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from facezoo.curation import (
    DROP,
    KEEP,
    Faces,
    Person,
    WrongLabels,
    far_from_center,
    far_from_dominant_center,
    find_wrong_labels,
    out_of_fold,
    strange_neighbors,
)
from facezoo.curation import leave_one_out as fits
from facezoo.curation.leave_one_out import leave_one_out, nearest_other, strangers_limit
from facezoo.curation.neighbors import couples_above, nearest_pictures
from facezoo.curation.out_of_fold import fit_whitening, fold_of
from facezoo.curation.subcenters import _groups, dominant_cosine

_DIM = 48


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def made_up(counts, spread=0.6, seed=0):
    """People with so many pictures each, `spread` as long as what they share."""
    random = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(counts)), counts)
    centers = unit(random.normal(size=(len(counts), _DIM)))
    apart = unit(random.normal(size=(len(label), _DIM)))
    return faces_of(label, unit(centers[label] + spread * apart))


def faces_of(label, embedding):
    label = np.asarray(label)
    people = tuple(Person("set", f"p{row}") for row in range(label.max() + 1))
    files = tuple(f"{row}.jpg" for row in range(len(label)))
    return Faces(people, label, files, embedding, np.ones(len(label)))


def relabelled(faces, changes):
    label = faces.label.copy()
    label[list(changes)] = list(changes.values())
    return replace(faces, label=label)


def flipped(faces, share, seed=0):
    """Gives a share of the pictures to somebody else; returns also which."""
    random = np.random.default_rng(seed)
    rows = random.permutation(faces.num_images)[: round(share * faces.num_images)]
    shift = random.integers(1, faces.num_people, len(rows))
    new = (faces.label[rows] + shift) % faces.num_people
    return relabelled(faces, dict(zip(rows.tolist(), new.tolist(), strict=True))), rows


def rows_of(faces, findings):
    place = {file: row for row, file in enumerate(faces.file)}
    return [place[one.subject.file] for one in findings]


@pytest.fixture(scope="module")
def noisy():
    return flipped(made_up([12] * 15), 0.1)


class TestLeaveOneOut:
    def test_equals_every_mean_by_hand(self):
        faces = made_up([3, 4, 2], seed=1)
        fit = leave_one_out(faces.embedding, faces.label, 3)
        for row in range(9):
            cosines = {}
            for person in range(3):
                members = np.flatnonzero(faces.label == person)
                mean = faces.embedding[members[members != row]].mean(axis=0)
                cosines[person] = float(unit(mean) @ faces.embedding[row])
            own = cosines.pop(int(faces.label[row]))
            assert fit.own[row] == pytest.approx(own, abs=1e-5)
            assert fit.other[row] == pytest.approx(max(cosines.values()), abs=1e-5)
            assert fit.nearest[row] == max(cosines, key=cosines.get)

    def test_one_picture_and_one_person_are_not_known(self):
        faces = made_up([1, 3])
        fit = leave_one_out(faces.embedding, faces.label, 2)
        assert np.isnan(fit.own).tolist() == [True, False, False, False]
        alone = made_up([3])
        fit = leave_one_out(alone.embedding, alone.label, 1)
        assert np.isnan(fit.other).all()
        assert fit.nearest.tolist() == [-1] * 3
        assert np.isnan(strangers_limit(alone.embedding, alone.label, alone.embedding[:1], 98))

    def test_blocks_change_nothing(self, monkeypatch):
        faces = made_up([5] * 8)
        whole = leave_one_out(faces.embedding, faces.label, 8)
        limit = strangers_limit(faces.embedding, faces.label, faces.embedding[::5], 90)
        monkeypatch.setattr(fits, "_ROWS_AT_ONCE", 7)
        parts = leave_one_out(faces.embedding, faces.label, 8)
        np.testing.assert_allclose(parts.own, whole.own, atol=1e-6)
        again = strangers_limit(faces.embedding, faces.label, faces.embedding[::5], 90)
        assert again == pytest.approx(limit, abs=1e-6)

    def test_of_several_centers_the_nearest_of_somebody_else(self):
        eye = np.eye(4, dtype=np.float32)
        centers = np.stack([eye[[0, 1]], eye[[2, 3]]])
        near_own = unit(np.array([[3, 2, 0, 1.0]], np.float32))
        cosine, person = nearest_other(near_own, np.array([0]), centers)
        assert (person.tolist(), cosine[0]) == ([1], pytest.approx(1 / 14**0.5, abs=1e-6))

    def test_strangers_are_those_of_other_people(self):
        faces = made_up([4, 4, 4])
        centers = unit(faces.embedding[[0, 4, 8]])
        cosine = faces.embedding @ centers.T
        strangers = cosine[faces.label[:, None] != np.arange(3)]
        found = strangers_limit(faces.embedding, faces.label, centers, 75)
        assert found == pytest.approx(np.percentile(strangers, 75), abs=1e-6)

    def test_many_strangers_are_a_sample(self, monkeypatch):
        faces = made_up([10] * 20)
        centers = faces.embedding[::10]
        limits = []
        for size in (10**6, 2000, 2000):
            monkeypatch.setattr(fits, "_STRANGERS", size)
            limits.append(strangers_limit(faces.embedding, faces.label, centers, 90))
        assert limits[1] == limits[2] != limits[0]
        assert limits[1] == pytest.approx(limits[0], abs=0.03)


class TestNeighbors:
    def test_never_the_picture_itself_even_among_equal_ones(self):
        embedding = np.eye(4, dtype=np.float32)[[0, 0, 0, 0, 1]]
        index = nearest_pictures(embedding, 2)
        assert index.shape == (5, 2)
        assert not np.any(index == np.arange(5)[:, None])
        assert set(index[:4].ravel().tolist()) <= {0, 1, 2, 3}
        assert nearest_pictures(embedding, 99).shape == (5, 4)
        assert nearest_pictures(embedding[:1], 3).shape == (1, 0)

    def test_couples_equal_all_products(self, monkeypatch):
        monkeypatch.setattr("facezoo.curation.neighbors._ROWS_AT_ONCE", 4)
        monkeypatch.setattr("facezoo.curation.neighbors._MOST_COLUMNS", 3)
        embedding = made_up([4, 5, 4]).embedding
        first, second, cosine = couples_above(embedding, 0.6)
        product = np.triu(embedding @ embedding.T, 1)
        expected = np.nonzero(product > 0.6)
        assert 5 < len(first) < 70
        np.testing.assert_array_equal((first, second), expected)
        np.testing.assert_allclose(cosine, product[expected], atol=1e-6)


class TestRules:
    @pytest.mark.parametrize("rule", [far_from_center, strange_neighbors, out_of_fold])
    def test_each_alone_finds_flipped_labels(self, noisy, rule):
        faces, rows = noisy
        found = np.flatnonzero(rule(faces).is_wrong)
        assert len(set(found) & set(rows)) >= 0.9 * len(rows)
        assert len(set(found) - set(rows)) <= 0.1 * len(rows)

    def test_the_angle_to_the_dominant_center(self, noisy):
        faces, rows = noisy
        vote = far_from_dominant_center(faces, max_angle=65.0)
        assert len(set(np.flatnonzero(vote.is_wrong)) & set(rows)) >= 0.9 * len(rows)
        assert np.array_equal(vote.is_wrong, vote.value > 65.0)

    def test_nobody_is_told_of_people_with_one_picture(self):
        faces = made_up([1, 6, 6])
        rules = far_from_dominant_center, far_from_center, strange_neighbors, out_of_fold
        for rule in rules:
            vote = rule(faces)
            assert np.isnan(vote.value).tolist() == [True] + [False] * 12
            assert not vote.is_wrong[0]

    def test_below_the_limit_but_nearer_to_nobody_else_is_no_vote(self):
        faces = made_up([6, 6, 6])
        fit = leave_one_out(faces.embedding, faces.label, 3)
        assert far_from_center(faces, 99.0, fit._replace(own=np.full(18, -1.0))).is_wrong.all()
        nearer = fit._replace(own=np.full(18, -0.9), other=np.full(18, -0.95))
        assert not far_from_center(faces, 99.0, nearer).is_wrong.any()

    def test_people_with_few_pictures_need_fewer_neighbors(self):
        eye = np.eye(6, dtype=np.float32)
        # The last picture said to show the second person shows the first.
        faces = faces_of([0, 0, 1, 1, 1], unit(eye[[0, 0, 1, 1, 0]] + 0.1 * eye[1:]))
        vote = strange_neighbors(faces, num_neighbors=2)
        assert vote.value.tolist() == [1.0, 1.0, 0.5, 0.5, 0.0]
        assert vote.is_wrong.tolist() == [False] * 4 + [True]
        assert strange_neighbors(faces, 2, max_agreement=0.9).is_wrong.sum() > 1

    def test_the_largest_group_is_dominant_and_leaves_the_picture_out(self):
        random = np.random.default_rng(0)
        places = np.eye(_DIM)[[0] * 6 + [1] * 4 + [2] * 2]
        embedding = unit(places + 0.05 * random.normal(size=(12, _DIM))).astype(np.float32)
        cosine = dominant_cosine(embedding, np.zeros(12, int), 1, num_centers=3, min_images=10)
        for row in range(12):
            members = [one for one in range(6) if one != row]
            expected = unit(embedding[members].sum(axis=0)) @ embedding[row]
            assert cosine[row] == pytest.approx(expected, abs=1e-5)
        whole = dominant_cosine(embedding, np.zeros(12, int), 1, num_centers=3, min_images=13)
        assert whole[0] == pytest.approx(unit(embedding[1:].sum(axis=0)) @ embedding[0], abs=1e-5)

    def test_groups_settle(self):
        faces = made_up([30, 3, 40], spread=2.0)
        group = _groups(faces.embedding, faces.label, 3, 3)
        for person in range(3):
            own = np.flatnonzero(faces.label == person)
            means = [faces.embedding[own[group[own] == one]].sum(axis=0) for one in range(3)]
            nearest = (faces.embedding[own] @ unit(np.array(means)).T).argmax(axis=1)
            assert nearest.tolist() == group[own].tolist()

    def test_a_head_with_sub_centers_has_the_say(self):
        eye = np.eye(_DIM, dtype=np.float32)
        faces = faces_of([0, 0, 0, 1, 1], eye[[0, 0, 1, 2, 2]])
        centers = np.stack([eye[[1, 0]], eye[[2, 3]]])
        vote = far_from_dominant_center(faces, centers=centers)
        assert vote.value.tolist() == [0, 0, 90, 0, 0]
        assert vote.is_wrong.tolist() == [False, False, True, False, False]
        # One centre for each is none: that of picture 2 would call the others wrong.
        single = far_from_dominant_center(faces, centers=centers[:, :1])
        assert single.is_wrong.tolist() == [False, False, True, False, False]


class TestOutOfFold:
    def test_folds_are_dealt_by_person(self):
        label = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [1, 2, 5, 7, 10]))
        fold = fold_of(label, 5)
        for person in range(5):
            counts = np.bincount(fold[label == person], minlength=5)
            assert counts.max() - counts.min() <= 1
        assert np.bincount(fold).tolist() == [5] * 5

    def test_a_model_never_sees_what_it_judges(self):
        faces = made_up([4] * 6)
        seen = []

        def fit(embedding, label):
            known = {row.tobytes() for row in embedding}
            assert len(label) == len(embedding)
            seen.append(len(embedding))
            probes = []

            def transform(vectors):
                probes.append({row.tobytes() for row in vectors})
                assert probes[-1] == known or not probes[-1] & known
                return vectors[:, :5]

            return transform

        vote = out_of_fold(faces, num_folds=4, fit=fit)
        assert seen == [18] * 4
        assert np.isfinite(vote.value).all()

    def test_whitening_makes_little_of_what_differs_within_people(self):
        random = np.random.default_rng(0)
        label = np.repeat(np.arange(8), 20)
        centers = random.normal(size=(8, _DIM))
        centers[:, 0] = 0
        noise = 0.1 * random.normal(size=(160, _DIM))
        noise[:, 0] += 8 * random.normal(size=160)
        embedding = unit(centers[label] + noise).astype(np.float32)
        white = fit_whitening(embedding, label)(embedding)
        assert np.abs(white[:, 0]).mean() < 0.3 * np.abs(embedding[:, 0]).mean()
        np.testing.assert_allclose(np.linalg.norm(white, axis=1), 1, atol=1e-5)
        alone = fit_whitening(embedding[:8], np.arange(8))
        np.testing.assert_allclose(alone(embedding), embedding, atol=1e-6)

    def test_whitened_cosines_are_those_of_the_inverse_covariance(self):
        random = np.random.default_rng(0)
        mixing = random.normal(size=(5, 5))
        label = np.repeat(np.arange(20), 10)
        centers, noise = random.normal(size=(20, 5)), 0.3 * random.normal(size=(200, 5))
        embedding = unit(centers[label] + noise @ mixing).astype(np.float32)
        means = np.stack([embedding[label == person].mean(axis=0) for person in range(20)])
        covariance, _ = ledoit_wolf(embedding - means[label], assume_centered=True)
        metric = np.linalg.inv(covariance + 1e-6 * np.eye(5))
        product = embedding @ metric @ embedding.T
        expected = product / np.sqrt(np.outer(np.diag(product), np.diag(product)))
        white = fit_whitening(embedding, label)(embedding)
        np.testing.assert_allclose(white @ white.T, expected, atol=1e-4)

    def test_one_fold_is_none(self):
        with pytest.raises(ValueError, match="num_folds must be at least 2"):
            out_of_fold(made_up([3, 3]), num_folds=1)


class TestVote:
    def test_flipped_labels_are_dropped_and_named(self, noisy):
        faces, rows = noisy
        clean = made_up([12] * 15)
        found = find_wrong_labels(faces)
        assert {one.rule for one in found} == {"wrong_label"}
        assert {one.action for one in found} == {DROP}
        assert len(set(rows_of(faces, found)) & set(rows)) >= 0.9 * len(rows)
        assert len(found) <= 1.1 * len(rows)
        named = 0
        for row, one in zip(rows_of(faces, found), found, strict=True):
            assert json.loads(json.dumps(one.evidence)) == one.evidence
            assert 0 <= one.score <= 1
            assert len(one.evidence["votes"]) >= 2
            assert one.subject.person == faces.person(row)
            named += one.evidence["looks_like"] == str(clean.person(row))
        assert named >= 0.8 * len(found)

    def test_clean_people_are_left_alone(self):
        assert find_wrong_labels(made_up([12] * 10 + [3, 2, 1])) == []

    def test_somebody_from_outside_looks_like_nobody(self):
        faces = made_up([12] * 15 + [3])
        faces = relabelled(faces.select(np.arange(183)), {180: 3, 181: 4}).select(np.arange(182))
        found = find_wrong_labels(faces)
        assert set(rows_of(faces, found)) >= {180, 181}
        assert all(one.evidence["looks_like"] is None for one in found)

    def test_of_two_that_do_not_fit_none_is_dropped(self):
        # The second of p5's two pictures shows p0; of p6's three, the last shows p1.
        faces = relabelled(made_up([8] * 5 + [2, 3]), {41: 5, 44: 6})
        embedding = faces.embedding.copy()
        embedding[41], embedding[44] = embedding[0], embedding[8]
        faces = replace(faces, embedding=embedding)
        actions = dict(zip(rows_of(faces, found := find_wrong_labels(faces)), found, strict=True))
        assert actions[41].action == KEEP
        assert actions[44].action == DROP
        assert [row for row, one in actions.items() if one.action == DROP] == [44]

    def test_one_picture_is_no_witness_against_another(self):
        eye = np.eye(4, dtype=np.float32)
        alone = WrongLabels(max_angle=None, percentile=None, num_neighbors=1, min_votes=1)
        embedding = np.stack([eye[0], 0.6 * eye[0] + 0.8 * eye[1], eye[1], eye[1], eye[0]])
        found = find_wrong_labels(faces_of([0, 0, 1, 1], embedding[:4]), alone)
        assert [(one.subject.file, one.action) for one in found] == [("1.jpg", KEEP)]
        found = find_wrong_labels(faces_of([0, 0, 1, 1, 0], embedding), alone)
        assert [(one.subject.file, one.action) for one in found] == [("1.jpg", DROP)]

    def test_a_head_says_nothing_of_a_person_with_one_picture(self):
        eye = np.eye(4, dtype=np.float32)
        centers = np.stack([eye[[0, 1]], eye[[2, 3]]])
        alone = WrongLabels(percentile=None, num_neighbors=None, min_votes=1)
        faces = faces_of([0, 1, 1], eye[[2, 2, 2]])
        assert far_from_dominant_center(faces, centers=centers).is_wrong[0]
        assert find_wrong_labels(faces, alone, centers) == []

    def test_min_votes_and_rules_that_are_left_out(self, noisy):
        faces, _ = noisy
        rules = (
            far_from_dominant_center(faces, 90.0),
            far_from_center(faces),
            strange_neighbors(faces),
        )
        num_votes = np.sum([vote.is_wrong for vote in rules], axis=0)
        assert set(num_votes) == {0, 1, 2, 3}
        for count in (1, 2, 3):
            found = find_wrong_labels(faces, WrongLabels(max_angle=90.0, min_votes=count))
            assert rows_of(faces, found) == np.flatnonzero(num_votes >= count).tolist()
        alone = WrongLabels(max_angle=None, percentile=None, min_votes=1)
        found = find_wrong_labels(faces, alone)
        assert rows_of(faces, found) == np.flatnonzero(strange_neighbors(faces).is_wrong).tolist()
        assert list(found[0].evidence["values"]) == ["neighbors"]
        folds = find_wrong_labels(faces, WrongLabels(num_folds=3, min_votes=4, max_angle=65.0))
        assert "out_of_fold" in folds[0].evidence["votes"]

    def test_the_same_every_time_and_unmoved_by_the_order_of_people(self, noisy):
        faces, _ = noisy
        assert find_wrong_labels(faces) == find_wrong_labels(faces)
        turned = replace(faces, people=faces.people[::-1], label=faces.num_people - 1 - faces.label)
        again = {one.subject for one in find_wrong_labels(turned)}
        assert again == {one.subject for one in find_wrong_labels(faces)}

    def test_one_person_or_one_picture_says_nothing(self):
        assert find_wrong_labels(made_up([5], spread=5.0)) == []
        assert find_wrong_labels(made_up([1])) == []
        assert find_wrong_labels(made_up([1, 1]), WrongLabels(num_folds=2)) == []

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"max_angle": 0.0}, "max_angle must be in"),
            ({"max_angle": 180.0}, "max_angle must be in"),
            ({"num_centers": 0}, "num_centers must be at least 1"),
            ({"min_images": 1}, "min_images must be at least 2"),
            ({"percentile": 100.0}, "percentile must be in"),
            ({"percentile": float("nan")}, "percentile must be in"),
            ({"num_neighbors": 0}, "num_neighbors must be at least 1"),
            ({"max_agreement": 1.0}, "max_agreement must be in"),
            ({"num_folds": 1}, "num_folds must be 0 or at least 2"),
            ({"min_votes": 4}, "from 1 to 3, the rules that vote. Received: min_votes=4"),
            ({"min_votes": 0}, "min_votes must be"),
            ({"percentile": None, "num_neighbors": None}, "from 1 to 1"),
        ],
    )
    def test_options_out_of_range(self, options, words):
        with pytest.raises(ValueError, match=words):
            WrongLabels(**options)
