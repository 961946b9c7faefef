"""`python -m facezoo overlap`: exit codes, what is written, manifests, and errors."""

import csv
import json

import keras
import pytest

import facezoo
from facezoo.backbones import MobileFaceNet
from facezoo.cli.main import main
from facezoo.data.images import center_crop
from tests.test_near_duplicates import encoded, smaller, textured

NONE_FOUND, FOUND, ERROR = 0, 1, 2
WRITTEN = ["contact_sheet.html", "overlap.csv", "overlap.json", "test.npz", "train-1.npz"]


def write_people(folder, people):
    """One folder per person with the pictures given."""
    for name, images in people.items():
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(images):
            (folder / name / f"{number}.png").write_bytes(encoded(image, "PNG"))
    return str(folder)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A test set, and training sets that share a name and a picture, and nothing."""
    base = tmp_path_factory.mktemp("sets")
    test = {f"{i:05}": [textured(i)] for i in range(4)} | {"Zoë_Lee": [textured(9)]}
    leaky = {"ZOE LEE": [textured(20)], "x1": [smaller(textured(2)), textured(21)]}
    clean = {f"n{i}": [textured(30 + i)] for i in range(3)}
    content = {"test": test, "leaky": leaky, "clean": clean}
    return {name: write_people(base / name, people) for name, people in content.items()}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two models that differ in their weights."""
    folders = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        folders.append(tmp_path_factory.mktemp("model"))
        backbone = MobileFaceNet(**MobileFaceNet.TINY, name="tiny")
        facezoo.create_model(backbone, embedding_dim=4).save_preset(folders[-1])
    return list(map(str, folders))


def overlap(capsys, out, *arguments):
    """Returns the exit code, the report and what went to stderr."""
    code = main(["overlap", "--json", f"--out={out}", *arguments])
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if code != ERROR else captured.out, captured.err


def test_nobody_found(sets, tmp_path, capsys):
    flags = [f"--train={sets['clean']}", f"--test={sets['test']}", f"--out={tmp_path}"]
    assert main(["overlap", *flags]) == NONE_FOUND
    words = capsys.readouterr().out
    assert "test      5 people, 5 pictures" in words
    assert "by name                     not compared (against 0)" in words
    assert "by near-duplicate pictures  0 of 5 people, 0 pictures (against 3)" in words
    assert "by face                     not compared" in words
    assert sorted(path.name for path in tmp_path.iterdir()) == WRITTEN


def test_people_found_by_name_and_picture_are_written(sets, tmp_path, capsys):
    train = [f"--train={sets[name]}" for name in ("clean", "leaky")]
    code, report, _ = overlap(capsys, tmp_path, *train, f"--test={sets['test']}")
    assert code == FOUND
    assert report["people"] == ["00002", "Zoë_Lee"]
    assert json.loads((tmp_path / "overlap.json").read_text("utf-8")) == report
    with open(tmp_path / "overlap.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["train_person"], row["test_person"]) for row in rows] == [
        ("name", "ZOE LEE", "Zoë_Lee"),
        ("near", "x1", "00002"),
    ]
    assert {row["train_set"] for row in rows} == {sets["leaky"]}
    assert (rows[1]["train_file"], rows[1]["test_file"]) == ("x1/0.png", "00002/0.png")
    page = (tmp_path / "contact_sheet.html").read_text("utf-8")
    # Two people with a picture each, one with one and one with two.
    assert page.count("data:image/jpeg") == 5


def test_couples_found_to_be_two_people_are_left_out(sets, tmp_path, capsys):
    arguments = [f"--train={sets['leaky']}", f"--test={sets['test']}"]
    overlap(capsys, tmp_path / "first", *arguments)
    header, *lines = (tmp_path / "first" / "overlap.csv").read_text("utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("name,"))
    different = tmp_path / "different.csv"
    different.write_text(f"{header}\n{line}\n", encoding="utf-8")
    reviewed = [*arguments, f"--different={different}"]
    code, report, _ = overlap(capsys, tmp_path / "second", *reviewed)
    assert (code, report["people"]) == (FOUND, ["00002"])
    assert report["num_couples_found_to_be_two_people"] == 1
    different.write_text("\n".join([header, *lines]), encoding="utf-8")
    assert main(["overlap", *reviewed, f"--out={tmp_path / 'third'}"]) == NONE_FOUND
    assert "found to be two people      2 couples, left out" in capsys.readouterr().out


def test_nobody_is_two_people_in_one_picture(sets, tmp_path, capsys):
    arguments = [f"--train={sets['test']}", f"--test={sets['test']}"]
    overlap(capsys, tmp_path / "first", *arguments)
    reviewed = [*arguments, f"--different={tmp_path / 'first' / 'overlap.csv'}"]
    code, report, _ = overlap(capsys, tmp_path / "second", *reviewed)
    assert code == FOUND
    assert {one["kind"] for one in report["evidence"]} == {"exact"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("test_person\nA\n", "Missing: train_set, train_person"),
        ("", "Missing: train_set, train_person, test_person"),
        ("train_set,train_person,test_person\ns,,t\n", "line 2: expected train_set"),
    ],
)
def test_a_list_of_couples_that_does_not_fit(sets, tmp_path, capsys, content, words):
    (tmp_path / "different.csv").write_text(content)
    arguments = [f"--train={sets['clean']}", f"--test={sets['test']}", f"--out={tmp_path / 'out'}"]
    assert main(["overlap", *arguments, f"--different={tmp_path / 'different.csv'}"]) == ERROR
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_faces_need_a_model_and_a_crop_is_kept(sets, models, tmp_path, capsys):
    arguments = [f"--test={sets['test']}", f"--train={sets['test']}", f"--model={models[0]}"]
    code, report, _ = overlap(capsys, tmp_path / "a", *arguments)
    faces = [one for one in report["evidence"] if one["kind"] == "embedding"]
    assert code == FOUND
    assert [one["train_person"] for one in faces] == [one["test_person"] for one in faces]
    assert report["num_people_by_embedding"] == len(faces) == 5
    assert max(one["distance"] for one in faces) < 1e-6
    crop = ["--train_crop=0.5", "--threshold=4"]
    _, report, _ = overlap(capsys, tmp_path / "b", *arguments, *crop)
    faces = [one for one in report["evidence"] if one["kind"] == "embedding"]
    assert min(one["distance"] for one in faces) > 1e-6


def test_the_model_sees_faces_that_are_not_stretched(sets, models, tmp_path, capsys):
    """A picture is known by its middle that has the proportions of the model's input."""
    proportions = [MobileFaceNet.TINY["image_shape"][side] for side in (0, 1)]
    middle = center_crop(textured(3), *proportions)
    assert middle.shape[0] < 96
    folder = write_people(tmp_path / "wide", {f"q{i}": [textured(50 + i)] for i in range(3)})
    write_people(tmp_path / "wide", {"q3": [middle]})
    arguments = [f"--test={sets['test']}", f"--train={folder}", f"--model={models[0]}"]
    _, report, _ = overlap(capsys, tmp_path / "out", *arguments, "--threshold=1e-9")
    found = [(one["train_person"], one["test_person"]) for one in report["evidence"]]
    assert ("q3", "00003") in found


def test_manifests_take_the_place_of_pictures(sets, models, tmp_path, capsys):
    flags = [f"--test={sets['test']}", f"--train={sets['leaky']}", f"--model={models[0]}"]
    flags.append("--threshold=0.5")
    code, report, _ = overlap(capsys, tmp_path / "a", *flags)
    files = [f"--{side}={tmp_path}/a/{side}{n}.npz" for side, n in (("test", ""), ("train", "-1"))]
    for more in ([f"--model={models[0]}"], []):
        found = overlap(capsys, tmp_path / "b", *files, "--threshold=0.5", *more)
        assert found[:2] == (code, report)
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == WRITTEN[:3]
    code, _, err = overlap(capsys, tmp_path / "b", *files, f"--model={models[1]}")
    assert code == ERROR
    assert "must hold embeddings of the model that compares faces" in err


def test_files_that_cannot_be_read_are_named(sets, tmp_path, capsys):
    folder = write_people(tmp_path / "people", {"n1": [textured(40)]})
    (tmp_path / "people" / "n1" / "broken.jpg").write_bytes(b"no image")
    flags = [f"--train={folder}", f"--test={sets['test']}"]
    code, report, err = overlap(capsys, tmp_path / "out", *flags)
    assert code == NONE_FOUND
    assert f"1 files of {folder} could not be compared" in err
    assert "n1/broken.jpg: not an image" in err
    ((key, reason),) = report["refused_files"][folder]
    assert key == "n1/broken.jpg"
    assert reason.startswith("not an image")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--train and --test are needed"),
        (["--train={clean}"], "--train and --test are needed"),
        (["--train={clean}", "--test={test}", "more"], "takes flags only. Received: more"),
        (["--train={clean}", "--train={clean}", "--test={test}"], "must be another set"),
        (["--train=/no/such", "--test={test}"], "'/no/such' does not exist"),
        (["--train={clean}", "--test=/no/such.npz"], "No such file"),
        (
            ["--train={clean}", "--test={test}", "--threshold=5"],
            "A threshold is a squared L2 distance",
        ),
        (["--train={clean}", "--test={test}", "--test_crop=0"], "crop must be a share"),
        (["--train={clean}", "--test={test}", "--model=/no/such"], "no such file or folder"),
    ],
)
def test_errors(arguments, words, sets, tmp_path, capsys):
    filled = [argument.format(**sets) for argument in arguments]
    code, out, err = overlap(capsys, tmp_path / "out", *filled)
    assert (code, out) == (ERROR, "")
    assert words in err
    assert "Traceback" not in err


def test_help_names_the_exit_codes(capsys):
    assert main(["overlap", "--help"]) == 0
    assert "0 nobody found, 1 somebody found, 2 error" in capsys.readouterr().out
