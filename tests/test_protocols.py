"""Protocols: what they refuse, what they count, and the lists of LFW and of anybody."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facezoo import protocols
from facezoo.protocols import Protocol, lfw

LFW = Path(__file__).parents[2] / "shared" / "data" / "lfw"


def tiny(**changes):
    """Two people, three templates, four images; template 1 is two images of two media."""
    fields = {
        "name": "tiny",
        "image": ("a1", "a2", "a3", "b1"),
        "member_image": [0, 1, 2, 3],
        "member_template": [0, 1, 1, 2],
        "member_media": [0, 0, 1, 0],
        "pair": [[0, 1], [0, 2], [1, 2]],
        "same": [True, False, False],
        "person": [0, 0, 2],
        "set_rule": "mean_embedding",
        "slices": {"light": ["day", "night", "day"]},
    }
    return Protocol(**{**fields, **changes})


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_counts_of_a_protocol():
    folds = {"pair": [[0, 1], [0, 2]] * 2, "same": [True, False] * 2, "fold": [0, 0, 1, 1]}
    protocol = tiny(**folds, slices={})
    assert protocol.counts() == {
        "num_images": 4,
        "num_templates": 3,
        "num_people": 2,
        "num_pairs": 4,
        "num_genuine": 2,
        "num_impostor": 2,
        "num_folds": 2,
    }
    assert (tiny().num_pairs, tiny().num_impostor, tiny().num_folds) == (3, 2, 0)
    assert tiny(person=[0, -1, 2]).num_people is None


def test_a_protocol_holds_small_whole_numbers():
    protocol = tiny(fold=None)
    assert {protocol.pair.dtype, protocol.person.dtype} == {np.dtype(np.int32)}
    assert protocol.same.dtype == np.bool_


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name"),
        ({"name": 3}, "name"),
        ({"image": ("a1", "a2", "a2", "b1")}, "1 come again: a2"),
        ({"image": ("a1", "a2", "", "b1")}, "Image names must be texts"),
        ({"image": ("a1", "a2", 7, "b1")}, "Image names must be texts"),
        ({"image": ("a1", "a2", "a3", "b1", "c1")}, "image must occur.*Absent: 1 of 5, numbers 4"),
        ({"member_image": [0, 1, 2, 4]}, "member_image must be from 0 to 3"),
        ({"member_image": [0, 1, 2, -1]}, "member_image must be from 0 to 3"),
        ({"member_image": [0, 1, 2]}, "of one length"),
        ({"member_image": [0.0, 1.0, 2.0, 3.0]}, "whole numbers. Received: float64"),
        ({"member_template": [0, 2, 1, 1]}, "must ascend"),
        ({"member_template": [0, 0, 1, 1]}, "template must occur.*numbers 2"),
        ({"member_template": [0, 1, 1, 3]}, "member_template must be from 0 to 2"),
        ({"member_media": [0, 0, 1]}, "of one length"),
        ({"person": [2**40, 2**40, 2]}, "32 bits"),
        ({"person": [0, 0, -2]}, "Received: -2"),
        ({"person": [0, 2, 0]}, "contradicts person in 2 pairs: numbers 0, 1"),
        ({"pair": [[0, 1], [0, 2], [1, 3]]}, "pair must be from 0 to 2"),
        ({"pair": [[0, 1], [0, 2], [2, 2]]}, "not compared with itself.*numbers 2"),
        ({"pair": [0, 1, 2]}, r"any number, 2\]. Received: \[3\]"),
        ({"pair": [[0, 1, 2]] * 3}, r"Received: \[3, 3\]"),
        ({"same": [True, False]}, "same must hold one entry per pair. Expected: 3"),
        ({"same": [1, 0, 0]}, "same must be bool"),
        ({"same": [False] * 3, "person": [-1] * 3}, "no genuine pair"),
        ({"same": [True] * 3, "person": [-1] * 3}, "no impostor pair"),
        ({"pair": np.empty((0, 2), int), "same": [], "slices": {}}, "no genuine pair"),
        ({"fold": [0, 0]}, "fold must hold one entry per pair"),
        ({"fold": [0, 0, 0]}, "two or more"),
        ({"fold": [-1, 0, 1]}, "from 0"),
        ({"fold": [0, 0, 1]}, "each holds two pairs or more"),
        ({"fold": [0, 0, 2**31 - 1]}, "0 to 2147483647 for 3 pairs"),
        (
            {
                "pair": [[0, 1], [0, 2], [1, 2], [2, 0]],
                "same": [True, False, False, False],
                "fold": [0, 0, 1, 1],
                "slices": {},
            },
            "Without genuine pairs: folds 1",
        ),
        ({"slices": {"light": ["day"]}}, "light must hold one entry per pair"),
        ({"set_rule": "median"}, "set_rule must be one of single,.*'median'"),
        ({"set_rule": "single"}, "every template is one image"),
    ],
)
def test_a_protocol_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


def test_the_digest_tells_every_field():
    others = [
        tiny(),
        tiny(name="other"),
        tiny(image=("a1", "a2", "a3", "b2")),
        tiny(member_image=[1, 0, 2, 3]),
        tiny(member_template=[0, 0, 1, 2]),
        tiny(member_media=[0, 0, 0, 0]),
        tiny(pair=[[1, 0], [0, 2], [1, 2]]),
        tiny(person=[-1] * 3),
        tiny(same=[False, False, True], person=[-1] * 3),
        tiny(person=[0, 0, 3]),
        tiny(set_rule="media_mean"),
        tiny(slices={}),
        tiny(slices={"light": ["day", "night", "night"]}),
        tiny(slices={"lamp": ["day", "night", "day"]}),
    ]
    assert len({other.digest() for other in others}) == len(others)
    folded = [
        tiny(pair=[[0, 1], [0, 2]] * 2, same=[True, False] * 2, slices={}, fold=fold)
        for fold in ([0, 0, 1, 1], [1, 1, 0, 0], None)
    ]
    assert len({other.digest() for other in folded}) == 3


def test_equal_protocols_have_equal_digests():
    slices = {"light": ["day", "night", "day"], "age": ["1", "2", "30"]}
    one = tiny(slices=slices, person=np.array([0, 0, 2], np.int64))
    other = tiny(slices=dict(reversed(slices.items())))
    assert one.digest() == other.digest() == replace(one).digest()


VIEW_1 = ["2", "Ann\t1\t2", "Bob\t3\t1", "Ann\t1\tBob\t1", "Bob\t2\tCid_D\t10"]


def view_2(num_folds=10, num_each=300):
    """A list of View 2's form and size, of people who do not exist."""
    lines = [f"{num_folds}\t{num_each}"]
    for fold in range(num_folds):
        lines += [f"P{fold}_{i}\t1\t2" for i in range(num_each)]
        lines += [f"P{fold}_{i}\t1\tP{fold}_{i + 1}\t2" for i in range(num_each)]
    return lines


def test_view_1(tmp_path):
    protocol = protocols.read_lfw(write(tmp_path / "pairs.txt", *VIEW_1))
    assert protocol.name == "lfw_custom"
    assert protocol.same.tolist() == [True, True, False, False]
    names = np.array(protocol.image)
    assert names[protocol.pair].tolist() == [
        ["Ann/Ann_0001", "Ann/Ann_0002"],
        ["Bob/Bob_0003", "Bob/Bob_0001"],
        ["Ann/Ann_0001", "Bob/Bob_0001"],
        ["Bob/Bob_0002", "Cid_D/Cid_D_0010"],
    ]
    assert protocol.fold is None
    assert (protocol.num_images, protocol.num_people, protocol.set_rule) == (6, 3, "single")


@pytest.mark.parametrize("change", [str.split, lambda line: [line + "\r"], lambda line: [line]])
def test_blanks_and_line_ends_do_not_matter(tmp_path, change):
    expected = protocols.read_lfw(write(tmp_path / "a", *VIEW_1)).digest()
    lines = [" ".join(change(line)) for line in VIEW_1]
    assert protocols.read_lfw(write(tmp_path / "b", *lines, "", "")).digest() == expected


def test_view_2_has_ten_folds_in_order(tmp_path):
    protocol = protocols.read_lfw(write(tmp_path / "pairs.txt", *view_2()))
    assert (protocol.num_genuine, protocol.num_impostor, protocol.num_folds) == (3000, 3000, 10)
    np.testing.assert_array_equal(protocol.fold, np.repeat(np.arange(10), 600))
    np.testing.assert_array_equal(protocol.same, np.tile(np.repeat([True, False], 300), 10))


def test_only_the_published_list_may_call_itself_lfw(tmp_path, monkeypatch):
    path = write(tmp_path / "pairs.txt", *view_2())
    assert protocols.read_lfw(path).name == "lfw_custom"
    published = {hashlib.sha256(path.read_bytes()).hexdigest(): "lfw_view2"}
    monkeypatch.setattr(lfw, "_PUBLISHED", published)
    assert protocols.read_lfw(path).name == "lfw_view2"
    changed = [line.replace("P7_3\t1\t2", "P7_3\t2\t1") for line in view_2()]
    assert protocols.read_lfw(write(path, *changed)).name == "lfw_custom"


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "3", "must hold 6 pairs after line 1.*Received: 4"),
        (1, "1", "must hold 2 pairs"),
        (1, "0", "line 1: expected one count"),
        (1, "", "line 1: expected one count"),
        (1, "Ann\t1\t2", "line 1: expected one count"),
        (1, "1\t2", "line 1: expected one count"),
        (2, "Ann\t1", "line 2: expected name, number, number"),
        (2, "Ann\t1\tBob\t1", "line 2: expected name, number, number"),
        (3, "Ann\t1\t0", "line 3: .* numbers from 1"),
        (3, "Ann\t1\tx", "line 3: .* numbers from 1"),
        (3, "Ann\t1\t-2", "line 3: .* numbers from 1"),
        (3, "\t1\t2", "line 3"),
        (3, "Ann\t1\t1", "line 3: expected two images"),
        (4, "Ann\t1\t2", "line 4: expected name, number, name, number"),
        (5, "Ann\t1\tAnn\t2", "line 5: expected two people"),
        (3, "", "line 3"),
    ],
)
def test_lines_that_do_not_fit_lfw_are_named(tmp_path, line, text, message):
    lines = [*VIEW_1]
    lines[line - 1] = text
    with pytest.raises(ValueError, match=message):
        protocols.read_lfw(write(tmp_path / "pairs.txt", *lines))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xd8\xff\xe0"])
def test_a_file_that_is_no_list_is_an_error(tmp_path, content):
    path = tmp_path / "pairs"
    path.write_bytes(content)
    for read in (protocols.read_lfw, protocols.read_pairs_csv):
        with pytest.raises(ValueError, match=r"pairs (is empty|must be UTF-8 text)"):
            read(path)


@pytest.mark.skipif(not LFW.is_dir(), reason="data/lfw is not here")
class TestRealLfw:
    def test_view_1_is_whole(self):
        train, test = (
            protocols.read_lfw(LFW / f"pairsDev{side}.txt") for side in ("Train", "Test")
        )
        assert (train.name, train.num_genuine, train.num_impostor) == (
            *("lfw_view1_train", 1100, 1100),
        )
        assert (test.name, test.num_genuine, test.num_impostor) == ("lfw_view1_test", 500, 500)
        people = [{name.partition("/")[0] for name in one.image} for one in (train, test)]
        assert not people[0] & people[1]

    def test_no_image_is_missing(self):
        images = protocols.ImageFolder(LFW / "images")
        for side in ("Train", "Test"):
            images.check(protocols.read_lfw(LFW / f"pairsDev{side}.txt").image)


CSV = [
    "first,second,same,fold,light,first_person,second_person",
    "a1,a2,1,1,day,ann,ann",
    'a1,"b,1",0,1,night,ann,bob',
    'c1,"b,1",FALSE,2,day,,bob',
    "a2,a3,True,2,night,ann,ann",
]


def test_pairs_csv(tmp_path):
    protocol = protocols.read_pairs_csv(write(tmp_path / "mine.csv", *CSV))
    assert (protocol.name, protocol.image) == ("mine", ("a1", "a2", "b,1", "c1", "a3"))
    assert protocol.pair.tolist() == [[0, 1], [0, 2], [3, 2], [1, 4]]
    assert protocol.same.tolist() == [True, False, False, True]
    assert protocol.fold.tolist() == [0, 0, 1, 1]
    assert protocol.person.tolist() == [0, 0, 1, -1, 0]
    assert {name: column.tolist() for name, column in protocol.slices.items()} == {
        "light": ["day", "night", "day", "night"]
    }


def test_pairs_csv_needs_three_columns_only(tmp_path):
    path = write(tmp_path / "a.csv", "\ufeffsame, second, first", "1, x, y", "0, x, z")
    protocol = protocols.read_pairs_csv(path)
    assert (protocol.image, protocol.pair.tolist()) == (("y", "x", "z"), [[0, 1], [2, 1]])
    assert (protocol.fold, protocol.slices, protocol.num_people) == (None, {}, None)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "a1,a2,1,1,day,ann,ann", "line 1.*Missing: first, second, same"),
        (1, CSV[0].replace("same", "label"), "Missing: same"),
        (1, CSV[0].replace(",second_person", ",who"), "Missing: second_person"),
        (1, CSV[0].replace("light", "fold"), "line 1: expected names of columns, each once"),
        (1, CSV[0].replace("light", ""), "line 1: expected names of columns"),
        (2, "a1,a2,2,1,day,ann,ann", "line 2: expected 1, 0, true or false.*'2'"),
        (2, "a1,a2,,1,day,ann,ann", "line 2: expected 1, 0, true or false"),
        (2, "a1,a2,1,1,day,ann", "line 2: expected 7 cells"),
        (2, "a1,a2,1,1,day,ann,ann,x", "line 2: expected 7 cells"),
        (3, "", "line 3: expected 7 cells"),
        (2, "a1,,1,1,day,ann,ann", "line 2: expected an image in the column second"),
        (2, "a1,a1,1,1,day,ann,ann", "line 2: expected two images"),
        (2, "a1,a2,1,x,day,ann,ann", "line 2: expected a whole number in the column fold"),
        (2, "a1,a2,1,,day,ann,ann", "line 2: expected a whole number in the column fold"),
        (2, "a1,a2,1,4,day,ann,ann", "without a gap. Received: 1, 2, 4"),
        (2, "a1,a2,0,1,day,ann,ann", "line 2: expected same to fit the people ann, ann"),
        (3, "a1,b1,0,1,day,eve,bob", "line 3: expected 'ann' to be on 'a1', as in line 2"),
        (5, "a2,a1,1,2,day,ann,ann", "line 5: expected every pair once, this one is in line 2"),
        (5, 'a2,"a3,1,2,day,ann,ann', "line 5: not a CSV"),
    ],
)
def test_lines_that_do_not_fit_a_csv_are_named(tmp_path, line, text, message):
    lines = [*CSV]
    lines[line - 1] = text
    with pytest.raises(ValueError, match=message):
        protocols.read_pairs_csv(write(tmp_path / "mine.csv", *lines))


def test_folds_of_a_csv_begin_with_0_or_1(tmp_path):
    for first in (0, 1):
        lines = [f"a{i},b{i},{i % 2},{first + i // 2}" for i in range(4)]
        protocol = protocols.read_pairs_csv(write(tmp_path / "a", "first,second,same,fold", *lines))
        assert protocol.fold.tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="from 0 or from 1 without a gap. Received: 2, 3"):
        lines = [f"a{i},b{i},{i % 2},{2 + i // 2}" for i in range(4)]
        protocols.read_pairs_csv(write(tmp_path / "a", "first,second,same,fold", *lines))


def test_a_csv_without_pairs_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no genuine pair"):
        protocols.read_pairs_csv(write(tmp_path / "mine.csv", CSV[0]))


def test_read_by_kind(tmp_path):
    path = write(tmp_path / "mine.csv", *CSV)
    protocol, images = protocols.read("csv", str(path))
    assert (protocol.name, images) == ("mine", None)
    protocols.save(protocol, tmp_path / "mine.npz")
    again, _ = protocols.read("file", tmp_path / "mine.npz")
    assert again.digest() == protocol.digest()
    with pytest.raises(ValueError, match="one of lfw, csv, pack, ijb, ytf, file. Received: 'lwf'"):
        protocols.read("lwf", path)
    with pytest.raises(FileNotFoundError):
        protocols.read("lfw", tmp_path / "none.txt")
    with pytest.raises(ValueError, match="frames, num_frames, set_rule. Received: none; missing"):
        protocols.read("ytf", path)
    with pytest.raises(ValueError, match="kind 'lfw': none. Received: frames; got an unexpected"):
        protocols.read("lfw", path, frames=tmp_path)
