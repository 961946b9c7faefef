"""`python -m facezoo curate`: two sets, from pictures to lists, and a review that wins."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from facezoo.cli import model_loading
from facezoo.cli.main import main
from facezoo.cli.model_loading import LoadedModel
from facezoo.data.sources import list_csv

ERROR = 2
FILES = [
    "class_map.json",
    "cleaned.csv",
    "curation.json",
    "hard.csv",
    "plan.jsonl",
    "report.html",
    "review.csv",
]
NUM_COLORS = 8
# People by set: the row of their colour in the palette. `two/x` is `one/a` under another name.
SETS = {"one": {"a": 0, "b": 1, "c": 2}, "two": {"x": 0, "y": 3, "z": 4}}
WRONG = "a/6.png"


def save_face(path, number, seed):
    """A picture of 24 x 24 with vertical stripes where a person's number says so."""
    pixels = np.random.default_rng(seed).normal(90, 12, (24, 24, 3))
    pixels[:, 3 * number : 3 * number + 3] += 120
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def embed(images):
    """How bright each of 8 stripes is: people are told apart, and their pictures differ a bit."""
    stripes = np.stack([image.reshape(24, 8, -1).mean(axis=(0, 2)) for image in images])
    features = (stripes - 90.0) / 20.0
    norm = np.linalg.norm(features, axis=1)
    return {"embedding": (features / norm[:, None]).astype(np.float32), "norm": norm}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    base = tmp_path_factory.mktemp("sets")
    for name, people in SETS.items():
        for person, number in people.items():
            folder = base / name / person
            folder.mkdir(parents=True)
            for picture in range(6):
                save_face(
                    folder / f"{picture}.png",
                    number,
                    100 * number + picture + len(name + person) + ord(person),
                )
    save_face(base / "one" / WRONG, SETS["one"]["b"], seed=999)
    (base / "one" / "c" / "broken.jpg").write_bytes(b"no picture")
    return base


@pytest.fixture
def curate(sets, tmp_path, monkeypatch, capsys):
    """Runs the verb on both sets; returns the exit code, what was printed, and stderr."""
    calls = []

    def load(path):
        def count(images):
            calls.append(len(images))
            return embed(images)

        return LoadedModel(count, f"fingerprint of {path}", None, None)

    monkeypatch.setattr(model_loading, "load", load)

    def run(*arguments):
        calls.clear()
        flags = [f"--images={sets / name}" for name in SETS]
        code = main(["curate", "--model=m", f"--out={tmp_path}", *flags, *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err, sum(calls)

    return run


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_from_pictures_to_lists(curate, sets, tmp_path):
    code, out, err, num_embedded = curate("--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["before"] == {"num_people": 6, "num_images": 37}
    assert report["after"] == {"num_people": 5, "num_images": 36}
    assert num_embedded == 37
    assert "1 files of one are left out. The first, c/broken.jpg" in err
    found = sorted(one.name for one in tmp_path.iterdir() if not one.name.startswith("seen-"))
    assert found == FILES
    rows = {
        (row["action"], row["identity"], row["file"], row["other_identity"])
        for row in read(tmp_path / "review.csv")
    }
    assert ("drop", "a", WRONG, "") in rows
    assert {row for row in rows if row[0] == "merge"} <= {
        ("merge", "x", "", "a"),
        ("merge", "a", "", "x"),
    }
    listing = list_csv(tmp_path / "cleaned.csv")
    assert len(listing.images) == 36 and not listing.refusals
    assert str(sets / "one" / WRONG) not in {image.key for image in listing.images}
    people = {image.identity for image in listing.images}
    assert len(people) == 5 and {"one/b", "one/c", "two/y", "two/z"} < people
    assert {image.key for image in list_csv(tmp_path / "hard.csv").images} <= {
        image.key for image in listing.images
    }


def test_a_second_run_reads_no_picture_and_a_review_wins(curate, tmp_path):
    assert curate()[0] == 0
    rows = read(tmp_path / "review.csv")
    for row in rows:
        row["action"] = "keep"
    _write(tmp_path / "review.csv", rows)
    code, _, err, num_embedded = curate()
    assert (code, num_embedded) == (ERROR, 0)
    assert "changed by hand" in err and "--reviewed=" in err
    assert [row["action"] for row in read(tmp_path / "review.csv")] == ["keep"] * len(rows)
    code, out, _, num_embedded = curate(f"--reviewed={tmp_path / 'review.csv'}", "--json")
    assert (code, num_embedded) == (0, 0)
    report = json.loads(out)
    assert report["after"] == report["before"]
    assert [row["action"] for row in read(tmp_path / "review.csv")] == ["keep"] * len(rows)


def test_a_published_list_and_a_rule_of_ones_own(curate, tmp_path):
    (tmp_path / "list.txt").write_text("one/b two/y 0.9\n")
    code, out, err, _ = curate(
        f"--published={tmp_path / 'list.txt'}", "--set=people.threshold=1.0", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["counts"]["merged_people"] == 1
    merges = [row for row in read(tmp_path / "review.csv") if row["action"] == "merge"]
    assert {merges[0]["identity"], merges[0]["other_identity"]} == {"b", "y"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["extra"], "flags only"),
        (["--crop=0.5", "--crop=0.5", "--crop=0.5"], "each of 2 sets"),
        (["--set=people.treshold=1"], "threshold"),
        (["--reviewed=nowhere.csv"], "nowhere.csv"),
        (["--published=nowhere.txt"], "nowhere.txt"),
        (["--images=nowhere"], "nowhere"),
    ],
)
def test_errors_leave_nothing(curate, tmp_path, arguments, words):
    code, _, err, _ = curate(*arguments)
    assert code == ERROR
    assert words in err
    assert not [one for one in tmp_path.iterdir() if not one.name.startswith("seen-")]


def test_a_review_of_other_data(curate, tmp_path):
    review = tmp_path / "mine.csv"
    review.write_text(
        "action,dataset,identity,file,other_dataset,other_identity\ndrop,one,nobody,,,\n"
    )
    code, _, err, _ = curate(f"--reviewed={review}")
    assert code == ERROR
    assert "line 2: Nobody is called 'one/nobody'" in err
    assert not (tmp_path / "plan.jsonl").exists()


def test_sets_of_one_name(curate, sets):
    code, _, err, _ = curate(f"--images={sets / 'one'}")
    assert code == ERROR and "names of their own. Received: one, two, one" in err


def _write(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
