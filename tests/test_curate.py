"""All rules of curation together: their order, a head beside means, a review above all."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from facezoo.curation import (
    DROP,
    DROPPED,
    KEEP,
    MERGE,
    Decision,
    Faces,
    Finding,
    HardExamples,
    Person,
    Rules,
    Subject,
    WrongLabels,
    changes_anything,
    curate,
    curation_report,
)
from facezoo.data.near_duplicates import PictureHashes, hash_picture

NUM_PEOPLE, PICTURES, DIM = 10, 8, 32
PEOPLE = tuple(Person("set", f"p{row}") for row in range(NUM_PEOPLE))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def make_faces(label=None, wrong=()):
    """Everybody has a direction of their own; rows in `wrong` show the person after theirs."""
    rng = np.random.default_rng(0)
    shown = np.repeat(np.arange(NUM_PEOPLE), PICTURES)
    label = shown.copy() if label is None else label
    shown[list(wrong)] = (shown[list(wrong)] + 1) % NUM_PEOPLE
    directions = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0][:NUM_PEOPLE]
    embedding = unit(directions[shown] + 0.05 * rng.normal(size=(len(shown), DIM)))
    people = tuple(Person("set", f"p{row}") for row in range(label.max() + 1))
    files = tuple(f"{row}.png" for row in range(len(label)))
    return Faces(people, label, files, embedding, rng.uniform(8, 12, len(label)))


def split_first():
    """The first person's pictures, under two names: p0 and p10."""
    label = np.repeat(np.arange(NUM_PEOPLE), PICTURES)
    label[: PICTURES // 2] = NUM_PEOPLE
    return make_faces(label)


def couples(curation):
    return [one for one in curation.decisions if one.subject.other]


def test_clean_data_stay_as_they_are():
    curation = curate(make_faces())
    assert not changes_anything(curation)
    assert curation.cleaned.people == PEOPLE
    assert curation.cleaned.label.tolist() == np.repeat(range(NUM_PEOPLE), PICTURES).tolist()


def test_two_names_become_one_before_labels_are_judged():
    faces = split_first()
    (couple,) = couples(curate(faces))
    assert couple.action == MERGE
    assert set(couple.subject[::2]) == {faces.people[0], faces.people[NUM_PEOPLE]}
    # Told apart, the pictures of one look like the other: neighbours and centre say so.
    reviewed = [Decision(KEEP, couple.subject, 1.0, {"review": {}})]
    apart = curate(faces, reviewed=reviewed)
    assert len(apart.cleaned.people) == NUM_PEOPLE + 1
    (told,) = couples(apart)
    assert told.action == KEEP and told.evidence["review"] == {"proposed": MERGE}
    assert told.evidence["duplicate_person"] == couple.evidence["duplicate_person"]
    assert len(curate(faces).cleaned.people) == NUM_PEOPLE
    assert curate(faces).cleaned.num_images == faces.num_images


def test_a_group_is_made_without_whom_a_person_told_apart():
    label = np.repeat(np.arange(NUM_PEOPLE), PICTURES)
    label[3:5], label[5:8] = NUM_PEOPLE, NUM_PEOPLE + 1
    faces = make_faces(label)
    assert len(curate(faces).cleaned.people) == NUM_PEOPLE
    couple = Subject(faces.people[NUM_PEOPLE], None, faces.people[NUM_PEOPLE + 1])
    apart = curate(faces, reviewed=[Decision(KEEP, couple, 1.0, {"review": {}})])
    assert len(apart.cleaned.people) == NUM_PEOPLE + 1
    assert sum(one.action == MERGE for one in couples(apart)) == 1
    assert not [one for one in apart.decisions if "held_apart" in one.evidence]


def test_one_photograph_under_two_names_of_one_person_stays_once():
    faces = split_first()
    pixels = np.random.default_rng(1).integers(0, 255, (faces.num_images, 24, 24, 3), np.uint8)
    pixels[1] = pixels[PICTURES - 1]
    faces = replace(faces, hashes=PictureHashes.stack(list(map(hash_picture, pixels))))
    assert faces.person(1) != faces.person(PICTURES - 1)
    gone = np.flatnonzero(curate(faces).cleaned.label == DROPPED)
    assert gone.size == 1 and gone[0] in (1, PICTURES - 1)


def test_wrong_labels_are_dropped_unless_a_person_says_otherwise():
    wrong = [0, 17, 42]
    faces = make_faces(wrong=wrong)
    curation = curate(faces)
    assert np.flatnonzero(curation.cleaned.label == DROPPED).tolist() == wrong
    assert not set(curation.hard.rows) & set(wrong)
    reviewed = [Decision(KEEP, Subject(faces.person(17), faces.file[17]), 1.0, {"review": {}})]
    kept = curate(faces, reviewed=reviewed)
    assert np.flatnonzero(kept.cleaned.label == DROPPED).tolist() == [0, 42]
    # What a person kept is beyond doubt, and hard indeed.
    assert 17 in kept.hard.rows and 17 not in curation.hard.rows
    told = next(one for one in kept.decisions if one.subject.file == faces.file[17])
    assert told.evidence["review"] == {"proposed": DROP} and "wrong_label" in told.evidence


def test_hard_examples_are_of_what_is_left_and_beyond_doubt():
    faces = make_faces(wrong=[3])
    all_of_them = replace(
        Rules(), hard=HardExamples(fraction=1.0, noisy_fraction=0.0, max_similarity=1.0)
    )
    curation = curate(faces, all_of_them)
    doubtful = {one.subject.file for one in curation.decisions if one.subject.file}
    assert doubtful == {"3.png"}
    found = {faces.file[row] for row in curation.hard.rows}
    assert found == set(faces.file) - doubtful
    assert (curation.cleaned.label[curation.hard.rows] != DROPPED).all()


def test_people_with_too_few_pictures_leave():
    faces = make_faces().select(np.r_[0:2, PICTURES : NUM_PEOPLE * PICTURES])
    curation = curate(faces, replace(Rules(), min_images=3))
    assert PEOPLE[0] not in curation.cleaned.people
    assert (curation.cleaned.label[:2] == DROPPED).all()
    assert curation.cleaned.reason == {0: "few_images", 1: "few_images"}
    subjects = Subject(PEOPLE[0]), Subject(PEOPLE[1], None, PEOPLE[2])
    reviewed = [Decision(KEEP, one, 1.0, {"review": {}}) for one in subjects]
    published = [Finding("published_list", subjects[1], MERGE, 1.0, {})]
    kept = curate(faces, replace(Rules(), min_images=3), None, published, reviewed)
    assert PEOPLE[0] in kept.cleaned.people
    said = {one.subject: one.evidence["review"]["proposed"] for one in kept.decisions}
    assert said == {subjects[0]: DROP, subjects[1]: MERGE}
    with pytest.raises(ValueError, match="min_images must be at least 1"):
        Rules(min_images=0)


class TestHead:
    def centers(self, faces):
        return unit(
            np.stack(
                [faces.embedding[faces.label == row].sum(0) for row in range(faces.num_people)]
            )
        )[:, None]

    def test_a_head_that_pushed_two_names_apart_hides_nothing(self):
        faces = split_first()
        centers = self.centers(faces)
        centers[NUM_PEOPLE] = unit(centers[NUM_PEOPLE] - 0.9 * centers[0])
        # Still nearest to its own class, as a trained head has it.
        found = couples(curate(faces, centers=centers.astype(np.float32)))
        assert [(one.action, list(one.evidence)) for one in found] == [
            (MERGE, ["duplicate_person"])
        ]

    def test_a_couple_that_only_the_head_finds_is_named_so(self):
        faces = make_faces()
        # Two people whose pictures have much in common, but whose means are not near.
        centers = self.centers(faces)
        centers[1] = unit(centers[1] + 3.0 * centers[0])
        found = couples(curate(faces, centers=centers.astype(np.float32)))
        assert [one.action for one in found] == [KEEP]
        assert "duplicate_center" in found[0].evidence

    def test_what_the_head_alone_finds_joins_no_group_of_the_means(self, monkeypatch):
        def finding(one, other):
            subject = Subject(PEOPLE[one], None, PEOPLE[other])
            return Finding("duplicate_person", subject, MERGE, 0.9, {})

        def find(faces, options, centers, separate):
            by_head = [finding(1, 2), finding(2, 3), finding(4, 5)]
            return [finding(1, 2)] if centers is None else by_head

        # The function of that name hides its module in the package.
        module = sys.modules[curate.__module__]
        monkeypatch.setattr(module, "find_duplicate_people", find)
        faces = make_faces()
        found = couples(curate(faces, centers=self.centers(faces).astype(np.float32)))
        assert {(str(one.subject), one.action, *one.evidence) for one in found} == {
            ("set/p1 and set/p2", MERGE, "duplicate_person"),
            ("set/p2 and set/p3", KEEP, "duplicate_center"),
            ("set/p4 and set/p5", MERGE, "duplicate_center"),
        }

    def test_another_models_head_is_refused(self):
        faces = make_faces()
        centers = np.roll(self.centers(faces), 1, axis=0).astype(np.float32)
        with pytest.raises(ValueError, match="another model's head"):
            curate(faces, centers=centers)

    def test_merged_people_are_judged_by_their_pictures(self):
        faces = split_first()
        sub_centers = np.repeat(self.centers(faces), 2, axis=1).astype(np.float32)
        # Of either name the head knows half: in place of both stands the mean of all.
        strict = replace(Rules(), labels=WrongLabels(min_votes=1))
        curation = curate(faces, strict, sub_centers)
        assert len(curation.cleaned.people) == NUM_PEOPLE
        assert not [one for one in curation.decisions if one.subject.file]


def test_published_couples_are_merged_and_a_review_holds_them_apart():
    faces = make_faces()
    published = [
        Finding("published_list", Subject(PEOPLE[one], None, PEOPLE[other]), MERGE, 1.0, {})
        for one, other in ((1, 2), (2, 3))
    ]
    assert len(curate(faces, published=published).cleaned.people) == NUM_PEOPLE - 2
    reviewed = [Decision(KEEP, Subject(PEOPLE[1], None, PEOPLE[3]), 1.0, {"review": {}})]
    curation = curate(faces, published=published, reviewed=reviewed)
    assert len(curation.cleaned.people) == NUM_PEOPLE - 1
    held = [one for one in curation.decisions if "held_apart" in one.evidence]
    assert [one.action for one in held] == [KEEP]


def test_the_account_adds_up():
    faces = make_faces(wrong=[3])
    curation = curate(faces)
    report = curation_report(faces, curation, Rules(), "title", "model")
    assert report["before"] == {"num_people": 10, "num_images": 80}
    assert report["after"] == {"num_people": 10, "num_images": 79}
    assert report["counts"]["dropped_pictures"] == 1
    assert report["datasets"] == [{"name": "set", "num_people": 10, "num_images": 80}]
    rows = {row["rule"]: row for row in report["by_rule"]}
    assert rows["wrong_label"] == {"rule": "wrong_label", DROP: 1, MERGE: 0, KEEP: 0}
    assert report["options"]["people"]["threshold"] == 0.5
    assert report["warnings"] == ["Equal and nearly equal pictures were not looked for: no hashes."]
