"""The page of a curation: what it shows, of whom, and that strangers' text and files do no harm."""

import io
import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from facezoo.curation import (
    DROP,
    KEEP,
    MERGE,
    Decision,
    Faces,
    Finding,
    Person,
    Subject,
    decide,
    write_report,
)
from facezoo.curation.report import sections
from tests.html_page import Page

HOSTILE = "<script>alert('x')</script><img src=https://example.org/a.png>"
ANN, BOB, CAT, EVE = (
    Person("a", "Ann"),
    Person("b", HOSTILE),
    Person("a", "Cat"),
    Person("b", "Eve \udcff"),
)
COUNTS = {ANN: 5, BOB: 4, CAT: 3, EVE: 1}
OTHER = {"same_as": {"dataset": "b", "identity": BOB.identity, "file": "1/1.png"}, "bits": 3}
FOUND = [
    Finding(
        "duplicate_person",
        Subject(ANN, other=BOB),
        MERGE,
        0.9,
        {"inside": 0.4567, "inside_other": 0.5, "between": 0.6, "picture": "Ann/3.png"}
        | {"picture_other": "1/2.png"},
    ),
    Finding("duplicate_person", Subject(CAT, other=EVE), KEEP, 0.3, {"inside_other": None}),
    Finding(
        "wrong_label",
        Subject(ANN, "Ann/0.png"),
        DROP,
        0.8,
        {"votes": ["center"], "values": {"center": 0.125, "folds": 0.5}}
        | {"limits": {"center": 0.25, "folds": 0.0}, "nearest_other": str(CAT)},
    ),
    Finding("duplicate_picture", Subject(CAT, "Cat/0.png"), DROP, 1.0, OTHER),
    Finding("duplicate_picture", Subject(CAT, "Cat/1.png"), DROP, 1.0, {"others": ["Cat/0.png"]}),
    Finding("low_norm", Subject(BOB, "1/0.png"), KEEP, 0.5, {"norm": 1.0, "threshold": 1.5}),
    Finding("made_up", Subject(CAT, "Cat/2.png"), DROP, 0.5, {"new_key": 7}),
    Finding("few_images", Subject(EVE), DROP, 1.0, {"images": 1}),
]


@pytest.fixture(scope="module")
def faces():
    generator = np.random.default_rng(0)
    embedding = generator.normal(size=(13, 8))
    file = [
        f"{'Ann Cat'.split()[who // 2] if who % 2 == 0 else who}/{number}.png"
        for who, count in enumerate(COUNTS.values())
        for number in range(count)
    ]
    return Faces(
        tuple(COUNTS),
        np.repeat(np.arange(4), list(COUNTS.values())),
        file,
        embedding / np.linalg.norm(embedding, axis=1, keepdims=True),
        np.arange(13) + 1.0,
        witness="f00d",
    )


def image(row):
    """A picture whose colour says which row it is."""
    buffer = io.BytesIO()
    Image.new("RGB", (200, 160), (20 * row, 0, 255 - 20 * row)).save(buffer, "PNG")
    return buffer.getvalue()


def make_report(faces, **parts):
    """What curation.json holds."""
    size = {"num_people": faces.num_people, "num_images": faces.num_images}
    report = {"format": 1, "title": "Curation of a, b", "before": size, "after": size}
    report |= {"model": {"name": "facenet", "witness": faces.witness}, "warnings": []}
    report |= {"options": {"people": {"threshold": 0.5}, "min_images": 2}, "by_rule": []}
    report |= {"datasets": [{"name": "a", **size}], "counts": {"merged_people": 1234}}
    return report | parts


def write(path, faces, decisions, read=image, hard=(), **parts):
    write_report(path, make_report(faces, **parts), faces, decisions, read, hard)
    return Page(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def read_rows():
    return []


@pytest.fixture(scope="module")
def page(faces, read_rows, tmp_path_factory):
    def read(row):
        read_rows.append(row)
        return image(row)

    path = tmp_path_factory.mktemp("page") / "report.html"
    return write(path, faces, decide(FOUND), read, np.array([12, 3]))


def cards(page):
    return [" ".join(text.split()) for text in page.texts["li"]]


def card(page, start):
    (found,) = [one for one in cards(page) if start in one]
    return found


def alts(source, start, end):
    """The names of the pictures between two texts of a page."""
    return re.findall(
        '<img src="[^"]*" alt="([^"]*)"', source.partition(start)[2].partition(end)[0]
    )


def test_the_page_needs_nothing_else_and_strangers_text_stays_text(page):
    addresses = [a["src"] for tag, a in page.tags if tag == "img"]
    assert addresses and all(one.startswith("data:image/jpeg;base64,") for one in addresses)
    assert len(page.scripts()) == 3
    assert not [tag for tag, a in page.tags if tag in ("link", "iframe") or "href" in a]
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'; ")
    assert f"b/{HOSTILE}" in page.text and "b/Eve \\udcff" in page.text


def test_every_kind_has_its_section_the_sure_before_the_doubtful(page):
    assert page.headings == [
        *("Curation of a, b", "What was found", "Duplicate people", "People", "Wrong labels"),
        *("Duplicate pictures", "Other pictures", "Norms of features", "Hard examples"),
        "How it was made",
    ]
    people = ["To be done", "Doubtful: nothing is done"]
    sheets = ["The lowest", "The highest"]
    assert page.texts["h3"] == [*people, *["To be done"] * 4, *sheets, "Options"]


def test_a_couple_stands_side_by_side_with_its_evidence(page):
    found = card(page, "merge a/Ann into")
    assert found.startswith(f"a/Ann and 2 more b/{HOSTILE} and 1 more 1. merge a/Ann into")
    assert found.endswith("duplicate person inside 0.4567; inside other 0.5; between 0.6")
    assert "keep a/Cat and b/Eve" in card(page, "1. keep")
    assert [row for row in page.rows() if row.startswith("1 a/Ann b/")] == [
        f"1 a/Ann b/{HOSTILE} 0.4567 0.5 0.6 merge 0.9"
    ]


def test_pictures_that_the_evidence_names_come_first_then_the_most_typical(faces, tmp_path):
    path = tmp_path / "page.html"
    write(path, faces, decide(FOUND[:1]))
    rows = np.flatnonzero(faces.label == 0)
    typical = faces.embedding[rows] @ faces.embedding[rows].sum(axis=0)
    best = [f"Ann/{number}.png" for number in np.argsort(-typical) if number != 3]
    shown = alts(path.read_text("utf-8"), "Duplicate people", "Wrong labels")
    assert shown[:3] == ["Ann/3.png", *best[:2]]
    assert shown[3] == "1/2.png" and len(shown) == 6


def test_a_wrong_label_stands_beside_its_person_and_the_nearest_other(faces, page, tmp_path):
    path = tmp_path / "page.html"
    write(path, faces, decide(FOUND[2:3]))
    shown = alts(path.read_text("utf-8"), "Wrong labels", "Duplicate pictures")
    assert shown[0] == "Ann/0.png" and "Ann/0.png" not in shown[1:]
    assert [one.partition("/")[0] for one in shown[1:]] == ["Ann"] * 3 + ["Cat"] * 3
    found = card(page, "drop a/Ann: Ann/0.png")
    assert "said to be a/Ann and 1 more nearest other a/Cat" in found
    assert "1 of 2 votes against the label: cosine with the person's other pictures 0.125" in found
    assert "(limit 0.25); for it: folds 0.5 (limit 0)" in found


def test_copies_of_one_picture_share_a_card_and_say_what_becomes_of_each(page):
    found = card(page, "1. drop a/Cat: Cat/0.png")
    assert found.startswith("drop a/Cat: Cat/0.png stays b/")
    assert "1/1.png drop a/Cat: Cat/1.png 1. drop a/Cat: Cat/0.png" in found
    assert "score 1.00 duplicate picture bits 3 1. drop a/Cat: Cat/1.png" in found
    assert found.endswith("score 1.00 duplicate picture")


def test_a_copy_whose_person_is_dropped_does_not_stay(faces, tmp_path):
    gone = Finding("few_images", Subject(BOB), DROP, 1.0, {})
    found = write(tmp_path / "page.html", faces, decide([*FOUND[3:4], gone]))
    assert "stays" not in card(found, "1. drop a/Cat: Cat/0.png")


def test_rules_that_nobody_told_the_page_of_are_shown_all_the_same(page):
    assert card(page, "made up").endswith("1. drop a/Cat: Cat/2.png score 0.50 made up new key 7")
    assert card(page, "few images").endswith("few images images 1")


def test_norms_are_drawn_with_their_threshold_and_shown_from_both_ends(page):
    bars, line = page.charts["norms"]["data"]
    go.Figure(page.charts["norms"])
    assert sum(row[2] for row in bars["customdata"]) == 13
    assert line["x"] == [1.5, 1.5]
    assert "0 pictures are to be dropped, 1 are worth a look" in page.text
    norms = [one.split()[1] for one in cards(page) if one.startswith("norm ")]
    assert norms == [*map(str, range(1, 7)), *map(str, range(13, 7, -1))]


def test_thresholds_of_everybody_s_own_are_not_drawn_as_one(faces, tmp_path):
    other = Decision(KEEP, Subject(ANN, "Ann/1.png"), 0.5, {"low_norm": {"threshold": 2.5}})
    found = write(tmp_path / "page.html", faces, [*decide(FOUND[5:6]), other])
    assert len(found.charts["norms"]["data"]) == 1


def test_hard_examples_stand_in_their_order(page):
    shown = page.text.partition("Hard examples")[2]
    assert re.search(r"b/Eve \\udcff 3/0.png a/Ann Ann/3.png", shown)


def test_a_picture_is_read_once_and_made_small(page, read_rows):
    assert len(read_rows) == len(set(read_rows)) == 13
    assert max(len(a["src"]) for tag, a in page.tags if tag == "img") < 1500


def test_the_first_are_shown_and_the_rest_is_counted(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(sections, "MAX_SHOWN", 1)
    found = [Finding("made_up", Subject(ANN, f"Ann/{n}.png"), DROP, n / 9, {}) for n in range(4)]
    asked = []
    page = write(tmp_path / "page.html", faces, decide(found), asked.append)
    assert "Here are the first 1 of 4; review.csv lists all." in page.text
    assert "drop a/Ann: Ann/3.png" in page.text and "Ann: Ann/2.png" not in page.text


def test_pictures_that_are_missing_or_broken_are_said_to_be(faces, tmp_path):
    pictures = {0: None, 1: b"no image"}
    read = lambda row: pictures.get(row, image(row))  # noqa: E731
    found = write(tmp_path / "page.html", faces, decide(FOUND), read)
    assert "not at hand" in found.text and "not an image" in found.text
    assert [tag for tag, _ in found.tags if tag == "img"]


def test_an_empty_plan_says_so(faces, tmp_path):
    found = write(tmp_path / "page.html", faces, [], warnings=["no <hashes>"])
    assert "by these rules the data are clean" in found.text
    assert found.text.count("None were found.") == 3
    assert "no <hashes>" in found.text and "Hard examples" not in found.headings
    assert "people.threshold 0.5" in " ".join(found.text.split())


def test_norms_of_normalised_features_are_said_to_mean_nothing(faces, tmp_path):
    flat = replace(faces, norm=1.0 + 1e-7 * np.arange(13))
    found = write(tmp_path / "page.html", flat, [])
    assert "All norms are equal" in found.text and "The lowest" not in found.texts["h3"]


def test_one_picture_is_enough(faces, tmp_path):
    found = write(tmp_path / "page.html", faces.select([12]), [], hard=[0])
    assert len([text for text in cards(found) if text.startswith("norm 13 b/Eve")]) == 2


def test_people_who_were_merged_are_shown_by_their_names(faces, tmp_path):
    merged = faces.merge([1, 1, 2, 3])
    found = write(tmp_path / "page.html", merged, decide(FOUND))
    assert "a/Ann and 2 more b/" in card(found, "merge a/Ann into")


def test_equal_input_gives_equal_bytes(faces, tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, faces, decide(FOUND), hard=[3])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_is_not_about_these_faces_is_refused(faces, tmp_path):
    path = tmp_path / "page.html"
    for subject in (
        Subject(Person("a", "Bo"), "Ann/0.png"),
        Subject(ANN, "Ann/9.png"),
        Subject(ANN, "Cat/0.png"),
        Subject(ANN, other=Person("a", "Bo")),
    ):
        with pytest.raises(ValueError, match="There is no .* among these faces"):
            write(path, faces, [Decision(DROP, subject, 1.0, {"rule": {}})])
    with pytest.raises(ValueError, match="format must be 1. Received: 2"):
        write(path, faces, [], format=2)
    with pytest.raises(ValueError, match="speaks of 7 pictures, but there are 13"):
        write(path, faces, [], before={"num_people": 4, "num_images": 7})
    assert not path.exists()
