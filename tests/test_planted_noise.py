"""Planted noise: as much as was asked for, the truth about it, and what finding it is worth."""

import numpy as np
import pytest

from facezoo.curation import Faces, Person
from facezoo.curation.noise import (
    add_outliers,
    choose_pictures,
    flip_labels,
    plant_noise,
    split_people,
)
from facezoo.curation.noise_scores import (
    DetectionScores,
    couples_of,
    dropped_rows,
    merged_couples,
    precision_recall,
)
from facezoo.curation.plan import DROP, KEEP, MERGE, Finding, Subject
from facezoo.metrics import wilson_interval

LABEL = np.repeat(np.arange(6), [12, 11, 10, 9, 4, 1])
A, B, C, D = (Person("made", name) for name in "abcd")


def made(label, start=0):
    """Faces with those labels, files numbered from `start`."""
    embedding = np.random.default_rng(start).normal(size=(len(label), 8)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    people = [Person("made", f"p{number}") for number in range(max(label) + 1)]
    files = [f"{start + row}.png" for row in range(len(label))]
    return Faces(people, label, files, embedding, np.ones(len(label)))


def finding(action, person, file=None, other=None):
    return Finding("rule", Subject(person, file, other), action, 1.0, {})


class TestSplitPeople:
    def test_everybody_with_enough_pictures_becomes_two(self):
        noise = split_people(LABEL, min_images=5)
        assert noise.couples.tolist() == [[0, 6], [1, 7], [2, 8]]
        assert np.bincount(noise.label).tolist() == [6, 6, 5, 9, 4, 1, 6, 5, 5]
        old = {new: old for old, new in noise.couples.tolist()}
        assert [old.get(one, one) for one in noise.label.tolist()] == LABEL.tolist()
        assert noise.rows.size == 0

    def test_halves_are_random_and_so_is_who(self):
        splits = [split_people(LABEL, 5, num_people=1, seed=seed) for seed in range(12)]
        assert {one.couples[0, 0] for one in splits} == {0, 1, 2}
        assert np.all(splits[0].label == split_people(LABEL, 5, 1, seed=0).label)
        first = split_people(np.zeros(40, int), seed=0).label
        assert 0 < np.count_nonzero(first[:20]) < 20

    @pytest.mark.parametrize("arguments", [{"num_people": 4}, {"num_people": 0}])
    def test_too_many_or_nobody(self, arguments):
        with pytest.raises(ValueError, match=r"from 1 to 3, the people with 10 pictures"):
            split_people(LABEL, min_images=5, **arguments)
        with pytest.raises(ValueError, match="min_images"):
            split_people(LABEL, min_images=0)


class TestFlipLabels:
    @pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
    def test_so_many_labels_are_wrong_and_no_other(self, share):
        noise = flip_labels(LABEL, share)
        np.testing.assert_array_equal(np.flatnonzero(noise.label != LABEL), noise.rows)
        assert noise.rows.size == round(share * LABEL.size)

    def test_all_others_are_as_likely(self):
        label = np.repeat(np.arange(5), 2000)
        noise = flip_labels(label, 0.5)
        counts = np.zeros((5, 5), int)
        np.add.at(counts, (label[noise.rows], noise.label[noise.rows]), 1)
        # 5,000 flips over 20 kinds: 250 each, give or take five standard deviations.
        assert np.all(np.abs(counts[~np.eye(5, dtype=bool)] - 250) < 80)

    def test_everybody_keeps_a_picture(self):
        for seed in range(20):
            noise = flip_labels(LABEL, 0.85, seed)
            assert set(LABEL[noise.label == LABEL]) == set(range(6))

    def test_seeded(self):
        rows = [flip_labels(LABEL, 0.2, seed).rows.tolist() for seed in (0, 0, 1)]
        assert rows[0] == rows[1] != rows[2]

    @pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan"), 0.001])
    def test_share_out_of_range(self, share):
        with pytest.raises(ValueError, match="share must be in"):
            flip_labels(LABEL, share)

    @pytest.mark.parametrize(("label", "share"), [([0, 0, 0], 0.5), (LABEL, 0.9)])
    def test_nobody_to_give_to_or_nothing_left(self, label, share):
        with pytest.raises(ValueError, match="two people or more"):
            flip_labels(label, share)


def test_outliers_come_last_and_go_to_everybody():
    noise = add_outliers(LABEL, 600)
    np.testing.assert_array_equal(noise.label[: LABEL.size], LABEL)
    np.testing.assert_array_equal(noise.rows, LABEL.size + np.arange(600))
    assert np.bincount(noise.label[LABEL.size :], minlength=6).min() > 60
    with pytest.raises(ValueError, match="num_outliers"):
        add_outliers(LABEL, 0)


def test_chosen_pictures_keep_their_labels():
    noise = choose_pictures(LABEL, 0.25)
    np.testing.assert_array_equal(noise.label, LABEL)
    assert len(set(noise.rows)) == noise.rows.size == round(0.25 * LABEL.size)
    assert noise.rows.tolist() != choose_pictures(LABEL, 0.25, seed=1).rows.tolist()


def test_the_labels_given_stay_as_they_are():
    label = LABEL.astype(np.int32)
    assert split_people(label).couples.size and flip_labels(label, 0.5).rows.size
    np.testing.assert_array_equal(label, LABEL)


@pytest.mark.parametrize("label", [[], [[0]], [0.5], [-1, 0], [0, 2]])
def test_labels_that_are_none(label):
    with pytest.raises(ValueError, match="label must"):
        choose_pictures(label, 0.5)


class TestPlant:
    def test_halves_have_names_of_their_own(self):
        faces = plant_noise(made(LABEL), split_people(LABEL, num_people=3))
        assert [one.identity for one in faces.people[6:]] == ["p0 (2)", "p1 (2)", "p2 (2)"]
        assert faces.num_images_of().tolist()[6:] == [6, 5, 5]

    def test_outsiders_are_laid_below(self):
        inside, outside = made(LABEL), made([0, 1, 1], start=100)
        noise = add_outliers(LABEL, 3)
        faces = plant_noise(inside, noise, outside)
        np.testing.assert_array_equal(faces.label, noise.label)
        assert faces.file[-3:] == outside.file
        np.testing.assert_array_equal(faces.embedding[noise.rows], outside.embedding)
        assert faces.people == inside.people

    def test_noise_of_other_faces(self):
        with pytest.raises(ValueError, match="of the 47 pictures. Received: 50"):
            plant_noise(made(LABEL), add_outliers(LABEL, 3))


class TestScores:
    def test_by_hand(self):
        scores = precision_recall([1, 2, 3, 3, 4], {2, 3, 9})
        assert scores == DetectionScores(num_found=4, num_planted=3, num_right=2)
        assert (scores.precision, scores.recall) == (0.5, 2 / 3)
        assert scores.precision_interval == wilson_interval(2, 4)
        assert scores.recall_interval == wilson_interval(2, 3)

    def test_nothing_found_is_no_precision_and_nothing_planted_no_recall(self):
        nothing = precision_recall([], [1, 2])
        assert (nothing.precision, nothing.precision_interval, nothing.recall) == (None, None, 0.0)
        clean = precision_recall([1], [])
        assert (clean.precision, clean.recall, clean.recall_interval) == (0.0, None, None)

    def test_experiments_are_added(self):
        assert DetectionScores(4, 3, 2) + DetectionScores(1, 5, 1) == DetectionScores(5, 8, 3)

    def test_couples_of_a_chain_are_all_its_couples(self):
        assert couples_of([(A, B), (C, B)]) == {frozenset(p) for p in ((A, B), (B, C), (A, C))}
        assert couples_of([(A, B), (C, D)]) == {frozenset((A, B)), frozenset((C, D))}
        assert couples_of([]) == set()

    def test_merges_alone_make_couples(self):
        said = [finding(MERGE, A, other=B), finding(KEEP, C, other=B), finding(DROP, D)]
        assert merged_couples(said) == {frozenset((A, B))}

    def test_rows_that_are_dropped_alone_or_with_their_person(self):
        faces = made([0, 0, 1, 1])
        first, second = faces.people
        said = [finding(DROP, first, "1.png"), finding(KEEP, first, "0.png")]
        assert dropped_rows(faces, said) == {1}
        assert dropped_rows(faces, [*said, finding(DROP, second)]) == {1, 2, 3}
        with pytest.raises(KeyError):
            dropped_rows(faces, [finding(DROP, second, "0.png")])
