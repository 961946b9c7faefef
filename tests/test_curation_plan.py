"""Curation's floor: faces as columns, the plan, what a person makes of it, and what it leaves."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from facezoo.curation import (
    DROP,
    KEEP,
    MERGE,
    Decision,
    Faces,
    Finding,
    Person,
    Subject,
    class_map,
    clean,
    decide,
    overrule,
    read_plan,
    read_reviewed,
    who_is_who,
    write_plan,
    write_review,
)
from facezoo.data.near_duplicates import PictureHashes, hash_picture
from facezoo.data.people_manifest import PeopleManifest

ANN, BEN, CAT, DAN = (Person("one", name) for name in ("ann", "ben", "cat", "dan"))


def make_faces(**changes):
    """Four people with two pictures each."""
    label = np.repeat(np.arange(4), 2)
    columns = {
        "people": (ANN, BEN, CAT, DAN),
        "label": label,
        "file": tuple(
            f"{person.identity}/{one}.png" for person in (ANN, BEN, CAT, DAN) for one in "ab"
        ),
        "embedding": np.eye(4)[label],
        "norm": np.arange(1.0, 9.0),
    }
    return Faces(**{**columns, **changes})


def merge(person, other, **evidence):
    return Decision(MERGE, Subject(person, None, other), 0.5, evidence or {"rule": {}})


class TestFaces:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"norm": np.ones(7)}, "8 files"),
            ({"file": tuple("abcdefgg")}, "names"),
            ({"people": (ANN, BEN, CAT, CAT)}, "of their own"),
            ({"people": (ANN, BEN, CAT)}, "row of the 3 people"),
            ({"people": (ANN, BEN, CAT, DAN, Person("one", "eve"))}, "first one/eve"),
            ({"embedding": np.full((8, 4), np.nan)}, "unit length"),
            ({"embedding": 2 * np.eye(4)[np.repeat(np.arange(4), 2)]}, "length 2"),
            ({"norm": np.full(8, np.inf)}, "finite"),
            ({"embedding": np.ones(8)}, "embedding"),
        ],
    )
    def test_columns_must_fit(self, changes, words):
        with pytest.raises(ValueError, match=words):
            make_faces(**changes)

    def test_sets_lie_below_each_other(self):
        faces = Faces.of_manifests([_manifest("one"), _manifest("two")])
        assert faces.people == tuple(Person(name, who) for name in ("one", "two") for who in "ab")
        assert faces.label.tolist() == [0, 1, 1, 2, 3, 3]
        assert faces.file == ("0", "1", "2") * 2
        assert len(faces.hashes) == 6
        assert faces.norm.tolist() == [1.0, 2.0, 3.0] * 2

    @pytest.mark.parametrize(
        ("manifests", "words"),
        [
            (lambda: [_manifest("one"), _manifest("one")], "names of their own"),
            (lambda: [_manifest("one"), _manifest("two", witness="other")], "by one model"),
            (lambda: [_manifest("one").means_only()], "means alone"),
            (lambda: [], "names of their own"),
        ],
    )
    def test_sets_that_do_not_fit(self, manifests, words):
        with pytest.raises(ValueError, match=words):
            Faces.of_manifests(manifests())

    def test_merged_people_keep_the_names_of_their_pictures(self):
        merged = make_faces().merge([0, 0, 2, 2]).select([1, 2, 3, 6])
        assert merged.people == (ANN, CAT)
        assert merged.label.tolist() == [0, 0, 0, 1]
        assert [merged.person(row) for row in range(4)] == [ANN, BEN, BEN, DAN]


def _manifest(name, witness="w"):
    picture = np.arange(768, dtype=np.uint8).reshape(16, 16, 3)
    hashes = PictureHashes.stack([hash_picture(picture)] * 3)
    manifest = PeopleManifest(name, ("a", "b"), ("0", "1", "2"), np.array([0, 1, 1]), hashes)
    return manifest.with_embedding(np.eye(3), witness, np.arange(1.0, 4.0))


class TestPlan:
    def test_drop_goes_before_merge_before_keep(self):
        picture, couple = Subject(ANN, "ann/a.png"), Subject(ANN, None, BEN)
        decisions = decide(
            [
                Finding("x", picture, KEEP, 0.9, {"a": 1}),
                Finding("y", picture, DROP, 0.4, {"b": 2}),
                Finding("z", couple, KEEP, 0.2, {}),
                Finding("w", couple, MERGE, 0.1, {}),
            ]
        )
        assert [(one.action, one.subject, one.score) for one in decisions] == [
            (MERGE, couple, 0.1),
            (DROP, picture, 0.4),
        ]
        assert decisions[1].evidence == {"x": {"a": 1}, "y": {"b": 2}}

    def test_a_plan_is_read_as_it_was_written(self, tmp_path):
        plan = (
            merge(ANN, BEN, rule={"cosine": 0.7}),
            Decision(DROP, Subject(CAT), 1.0, {"few": {}}),
            Decision(KEEP, Subject(DAN, "Zoë.png"), 0.25, {"a": {"files": ["b"]}, "c": {}}),
        )
        write_plan(tmp_path / "plan.jsonl", plan)
        assert read_plan(tmp_path / "plan.jsonl") == plan
        lines = (tmp_path / "plan.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line)["action"] for line in lines] == [MERGE, DROP, KEEP]
        assert [path.name for path in tmp_path.iterdir()] == ["plan.jsonl"]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda lines: [], "empty plan"),
            (lambda lines: [*lines, "no json"], "line 2"),
            (lambda lines: lines * 2, "already"),
            (lambda lines: [lines[0].replace("merge", "burn")], "burn"),
            (lambda lines: [lines[0].replace('"ben"', "null")], "Only a couple"),
        ],
    )
    def test_a_plan_that_is_none(self, tmp_path, change, words):
        path = tmp_path / "plan.jsonl"
        write_plan(path, [merge(ANN, BEN)])
        path.write_text("\n".join(change(path.read_text().splitlines())))
        with pytest.raises(ValueError, match=words):
            read_plan(path)


class TestReview:
    def test_what_a_person_decided_wins(self, tmp_path):
        faces, path = make_faces(), tmp_path / "review.csv"
        plan = (
            merge(ANN, BEN),
            Decision(DROP, Subject(CAT, "cat/a.png"), 0.5, {"wrong_label": {"votes": 2}}),
            Decision(DROP, Subject(CAT, "cat/b.png"), 0.5, {"wrong_label": {"votes": 2}}),
        )
        write_review(path, plan)
        rows = list(csv.reader(path.read_text("utf-8").splitlines()))
        rows[1][0], rows[2][0] = "keep", "KEEP"
        rows[3:] = [["drop", "one", "dan", "", "", "", "", "", ""]]
        _write(path, rows)
        reviewed = read_reviewed(path, faces)
        decisions = overrule(plan, reviewed)
        assert [(one.action, str(one.subject)) for one in decisions] == [
            ("keep", "one/ann and one/ben"),
            ("keep", "picture cat/a.png of one/cat"),
            ("drop", "picture cat/b.png of one/cat"),
            ("drop", "one/dan"),
        ]
        assert decisions[0].evidence["review"] == {"proposed": "merge"}
        assert clean(faces, decisions).label.tolist() == [0, 0, 1, 1, 2, -1, -1, -1]

    def test_a_couple_may_be_turned_round(self, tmp_path):
        path = tmp_path / "review.csv"
        write_review(path, [merge(BEN, ANN)])
        (decision,) = overrule([merge(ANN, BEN)], read_reviewed(path, make_faces()))
        assert decision.subject == Subject(BEN, None, ANN)

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ("merge,one,anne,,one,ben", "'one/anne'.* Did you mean 'one/ann'"),
            ("merge,one,ann,,two,ben", "'two/ben'"),
            ("drop,one,ann,ann/c.png,,", "no picture 'ann/c.png'"),
            ("drop,one,ben,ann/a.png,,", "one of one/ann, not of one/ben"),
            ("delete,one,ann,,,", "delete"),
            ("merge,one,ann,ann/a.png,,", "Only a couple"),
            ("merge,one,ann,,one,ann", "twice"),
            ("keep,one,ben,,one,cat\nmerge,one,cat,,one,ben", "line 3.*earlier"),
            ("", "no decision"),
        ],
    )
    def test_what_cannot_be(self, tmp_path, row, words):
        path = tmp_path / "review.csv"
        path.write_text(
            f"action,dataset,identity,file,other_dataset,other_identity\n{row}\n", "utf-8"
        )
        with pytest.raises(ValueError, match=words):
            read_reviewed(path, make_faces())

    def test_columns_must_be_there(self, tmp_path):
        path = tmp_path / "review.csv"
        path.write_text("action;dataset;identity\n")
        with pytest.raises(ValueError, match="commas"):
            read_reviewed(path, make_faces())


class TestCleaned:
    def test_merges_are_followed_to_their_ends(self):
        cleaned = clean(make_faces(), [merge(ANN, BEN), merge(DAN, ANN)])
        assert cleaned.people == (BEN, CAT)
        assert cleaned.members == ((BEN, ANN, DAN), (CAT,))
        assert cleaned.label.tolist() == [0, 0, 0, 0, 1, 1, 0, 0]
        assert cleaned.num_images == 8

    def test_who_lost_every_picture_is_part_of_nobody(self):
        gone = [Decision(DROP, Subject(ANN, f"ann/{one}.png"), 1.0, {}) for one in "ab"]
        cleaned = clean(make_faces(), [merge(ANN, BEN), *gone])
        assert cleaned.members == ((BEN,), (CAT,), (DAN,))

    def test_dropped_pictures_and_people(self):
        decisions = [
            Decision(DROP, Subject(ANN, "ann/b.png"), 1.0, {"x": {}, "y": {}}),
            Decision(DROP, Subject(BEN), 1.0, {"z": {}}),
            Decision(DROP, Subject(CAT, None, DAN), 1.0, {"w": {}}),
        ]
        cleaned = clean(make_faces(), decisions)
        assert cleaned.people == (ANN, DAN)
        assert cleaned.label.tolist() == [0, -1, -1, -1, -1, -1, 1, 1]
        assert cleaned.reason == {1: "x y", 2: "z", 3: "z", 4: "w", 5: "w"}

    def test_rules_do_not_join_whom_a_person_told_apart(self):
        apart = Decision(KEEP, Subject(ANN, None, CAT), 1.0, {"review": {}})
        plan = [merge(ANN, BEN), merge(BEN, CAT), apart]
        assert who_is_who(make_faces(), plan).tolist() == [1, 1, 2, 3]
        by_hand = [merge(BEN, CAT, review={}), merge(ANN, BEN, rule={}), apart]
        assert who_is_who(make_faces(), by_hand).tolist() == [0, 2, 2, 3]
        assert who_is_who(make_faces(), by_hand[::-1]).tolist() == [0, 2, 2, 3]
        doubtful = replace(apart, evidence={"rule": {}})
        assert who_is_who(make_faces(), [*plan[:2], doubtful]).tolist() == [2, 2, 2, 3]
        with pytest.raises(ValueError, match="contradicts itself"):
            who_is_who(make_faces(), [merge(ANN, BEN, review={}), by_hand[0], apart])

    def test_another_set_or_nobody_left(self):
        with pytest.raises(ValueError, match="is it their plan"):
            clean(make_faces(), [Decision(DROP, Subject(ANN, "x.png"), 1.0, {})])
        with pytest.raises(ValueError, match="is it their plan"):
            clean(make_faces(), [merge(ANN, Person("two", "ben"))])
        everybody = [Decision(DROP, Subject(one), 1.0, {}) for one in (ANN, BEN, CAT, DAN)]
        with pytest.raises(ValueError, match="every picture"):
            clean(make_faces(), everybody)

    def test_the_class_map_changes_with_the_classes(self):
        whole = class_map(clean(make_faces(), []))
        assert [one["label"] for one in whole["classes"]] == [0, 1, 2, 3]
        merged = class_map(clean(make_faces(), [merge(ANN, BEN)]))
        assert merged["classes"][0]["members"] == [["one", "ben"], ["one", "ann"]]
        assert merged["version"] != whole["version"]


def _write(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
