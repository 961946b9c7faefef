"""`python -m facezoo gallery` and `identify`: what they print, keep and refuse, and exit codes."""

import json
import os
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from facezoo.cli import model_loading
from facezoo.cli.main import main
from facezoo.cli.model_loading import LoadedModel
from facezoo.cli.people_listing import origin_of
from facezoo.data.images import decode_rgb
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.test_time import TestTime
from facezoo.gallery import Gallery
from tests.photographs import encoded, make_people, photograph

PREPROCESSING = Preprocessing(2, 2)
DONE, SOME_LEFT_OUT, SOME_UNKNOWN, ERROR, NO_VERDICT = 0, 1, 1, 2, 3


def embed(images):
    """What stands for a network: the colours of the corners, so that mirror images differ."""
    corners = [image[[0, 0, -1, -1], [0, -1, 0, -1], 0] for image in images]
    features = np.stack(corners).astype(np.float32) - 127.5
    norm = np.linalg.norm(features, axis=1)
    return {"embedding": features / norm[:, None], "norm": norm}


@pytest.fixture
def loaded():
    """A model, the same with thresholds, what passes for another one, and one half known."""
    table = {
        "format": 2,
        "distance": "squared_l2",
        "model": "1a5a",
        "preprocessing": PREPROCESSING.fingerprint(),
        "chosen_on": "450 genuine and 4500 impostor pairs of 10 people",
        "default": "accuracy",
        "operating_points": [
            {"name": "accuracy", "threshold": 3.5, "far": 0.02},
            {"name": "far_1e-2", "threshold": 0.0, "far": 0.01},
        ],
    }
    model = LoadedModel(embed, "1a5a", PREPROCESSING, None)
    return {
        "model": model,
        "measured": replace(model, thresholds=table),
        "other": replace(model, fingerprint="2b6b"),
        "bare": replace(model, preprocessing=None),
    }


@pytest.fixture(autouse=True)
def _models_have_names(loaded, monkeypatch):
    """Finds these models by their names, and others where they are."""
    load = model_loading.load
    monkeypatch.setattr(model_loading, "load", lambda path: loaded.get(path) or load(path))


@pytest.fixture
def people(tmp_path):
    return make_people(tmp_path / "people", num_people=4, num_images=3)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "family.gallery"


def run(capsys, *arguments, code=DONE):
    """Runs a command; returns what it prints, parsed, and what it says on stderr."""
    assert main([*map(str, arguments), "--json"]) == code, capsys.readouterr().err
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    if arguments[0] == "identify":
        return [json.loads(line) for line in captured.out.splitlines()], captured.err
    return json.loads(captured.out), captured.err


def fails(capsys, *arguments):
    assert main([*map(str, arguments)]) == ERROR
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


@pytest.fixture
def enrolled(file, people, capsys):
    run(capsys, "gallery", "enrol", file, people, "--model=model")
    return file


class TestEnrol:
    def test_a_folder_of_people(self, enrolled, people):
        gallery = Gallery(enrolled)
        assert gallery.people() == {f"p{number}": 3 for number in range(4)}
        image = decode_rgb((people / "p2" / "1.png").read_bytes())
        expected = model_loading.load("model").embed_views([image], TestTime())[0]
        faces = gallery.faces()
        row = faces.source.index("p2/1.png")
        np.testing.assert_allclose(faces.embedding[row], expected, atol=1e-6)

    def test_again_embeds_nothing(self, enrolled, people, capsys, monkeypatch):
        monkeypatch.setattr("facezoo.cli.enrolment.embed_pictures", lambda paths, *_: iter(paths))
        model = "--model=model"
        report, _ = run(capsys, "gallery", "enrol", enrolled, people, model)
        assert (report["added"], report["known"], report["pictures"]) == (0, 12, 12)

    def test_a_list(self, file, people, tmp_path, capsys):
        rows = "path,identity\npeople/p0/0.png,Zoë\npeople/p1/0.png,Bob\npeople/none.png,Bob\n"
        (tmp_path / "list.csv").write_text(rows, encoding="utf-8")
        model = "--model=model"
        arguments = ("gallery", "enrol", file, tmp_path / "list.csv", model)
        report, err = run(capsys, *arguments, code=SOME_LEFT_OUT)
        assert (report["added"], report["left_out"]) == (2, ["people/none.png"])
        assert "people/none.png: cannot be opened: No such file" in err
        assert list(Gallery(file).people()) == ["Bob", "Zoë"]

    def test_photographs_of_one_person(self, file, people, capsys):
        model = "--model=model"
        arguments = (people / "p0", f"{people}/p1/[01].png", "--identity=Ann Lee")
        report, _ = run(capsys, "gallery", "enrol", file, *arguments, model)
        assert (report["added"], report["people"]) == (5, 1)
        sources = [one.source for one in Gallery(file).pictures(["Ann Lee"])]
        assert str(people / "p1" / "1.png") in sources

    def test_others_are_enrolled_beside_what_cannot_be(self, file, people, capsys):
        (people / "p1" / "0.png").write_bytes(b"no picture")
        shutil.copy(people / "p0" / "0.png", people / "p2" / "copy.png")
        (people / "new\nline").mkdir()
        shutil.copy(people / "p3" / "0.png", people / "new\nline" / "0.png")
        model = "--model=model"
        report, err = run(capsys, "gallery", "enrol", file, people, model, code=SOME_LEFT_OUT)
        assert (report["added"], report["people"]) == (11, 4)
        assert set(report["left_out"]) == {"p1/0.png", "p2/copy.png", "new\nline/0.png"}
        assert "p1/0.png is no usable image" in err
        assert "p2/copy.png is enrolled as 'p0', and was not enrolled as 'p2' too" in err
        assert "one line of printable characters" in err

    def test_nothing_can_be_read(self, file, tmp_path, capsys):
        (tmp_path / "broken.jpg").write_bytes(b"no picture")
        arguments = (tmp_path / "broken.jpg", "--identity=Ann", "--model=model")
        report, _ = run(capsys, "gallery", "enrol", file, *arguments, code=SOME_LEFT_OUT)
        assert (report["added"], report["pictures"]) == (0, 0)
        assert not file.exists()

    def test_views_are_bound_and_remembered(self, file, people, capsys):
        model = "--model=model"
        run(capsys, "gallery", "enrol", file, people, model, "--crop=0.8", "--flip=concat")
        assert Gallery(file).binding.view == TestTime(0.8, "concat")
        assert Gallery(file).embedding_dim == 8
        arguments = ("identify", people / "p0" / "0.png", f"--gallery={file}", model)
        found, _ = run(capsys, *arguments, "--threshold=0")
        assert (found[0]["identity"], found[0]["distance"]) == ("p0", 0)
        message = fails(capsys, *arguments, "--crop=0.7")
        assert "another test-time view. Expected: --crop=0.8 --flip=concat" in message

    def test_another_model_is_refused(self, enrolled, people, capsys):
        message = fails(capsys, "gallery", "enrol", enrolled, people, "--model=other")
        gallery = Gallery(enrolled)
        assert f"another model. Expected: {gallery.binding.model}. Received:" in message

    def test_a_model_of_which_too_little_is_known(self, file, people, capsys):
        message = fails(capsys, "gallery", "enrol", file, people, "--model=bare")
        assert "not known of bare. Give the preset folder" in message

    def test_the_demo_s_origin_does_not_depend_on_where_one_stands(self):
        assert origin_of("orl") == "orl"

    def test_bad_arguments(self, file, people, capsys):
        assert "takes an action, enrol, refresh" in fails(capsys, "gallery", "enroll", file)
        assert "Received: nothing" in fails(capsys, "gallery")
        assert "Whom? Expected: a folder with" in fails(capsys, "gallery", "enrol", file)
        assert "--model is needed" in fails(capsys, "gallery", "enrol", file, people)
        assert "does not exist" in fails(capsys, "gallery", "enrol", file, people / "none")
        assert "Received: 'tfds:lfw'" in fails(capsys, "gallery", "enrol", file, "tfds:lfw")
        message = fails(capsys, "gallery", "enrol", people / "none" / "g", people, "--model=x")
        assert "folder must be there and writable" in message
        message = fails(capsys, "gallery", "enrol", people, people, "--model=x")
        assert "A gallery is a file. Received: the folder" in message


class TestRefresh:
    def test_brings_in_line(self, enrolled, people, capsys):
        (people / "p0" / "0.png").unlink()
        (people / "p1").rename(people / "pat")
        (people / "p2" / "0.png").write_bytes(encoded(photograph(900), "PNG"))
        (people / "p3" / "0.png").write_bytes(b"being written")
        (people / "new").mkdir()
        (people / "new" / "0.png").write_bytes(encoded(photograph(901), "PNG"))
        model = "--model=model"
        report, _ = run(capsys, "gallery", "refresh", enrolled, people, model, code=SOME_LEFT_OUT)
        counts = {name: report[name] for name in ("added", "changed", "moved", "dropped")}
        assert counts == {"added": 2, "changed": 2, "moved": 3, "dropped": 2}
        assert report["left_out"] == ["p3/0.png"]
        gallery = Gallery(enrolled)
        assert gallery.people() == {"new": 1, "p0": 2, "p2": 3, "p3": 3, "pat": 3}
        before = gallery.header()
        report, _ = run(capsys, "gallery", "refresh", enrolled, people, model, code=SOME_LEFT_OUT)
        assert (report["added"], report["dropped"], report["unchanged"]) == (0, 0, 11)
        assert gallery.header() == before

    def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(
        self, enrolled, people, capsys, monkeypatch
    ):
        listdir = os.listdir

        def refuse(path):
            if os.fsdecode(path).endswith("p1"):
                raise PermissionError(13, "Permission denied")
            return listdir(path)

        monkeypatch.setattr(os, "listdir", refuse)
        shutil.rmtree(people / "p2")
        (people / "p2").mkdir()
        model = "--model=model"
        report, _ = run(capsys, "gallery", "refresh", enrolled, people, model, code=SOME_LEFT_OUT)
        assert report["dropped"] == 3
        assert Gallery(enrolled).people() == {"p0": 3, "p1": 3, "p3": 3}

    def test_a_folder_that_nothing_was_enrolled_from(self, enrolled, people, tmp_path, capsys):
        other = make_people(tmp_path / "other", 1, 1)
        message = fails(capsys, "gallery", "refresh", enrolled, other, "--model=x")
        assert f"was enrolled from '{other}'. Expected one of: {people}" in message
        assert "takes the one folder" in fails(capsys, "gallery", "refresh", enrolled)


class TestTheRest:
    def test_list_info_and_remove(self, enrolled, people, capsys):
        assert run(capsys, "gallery", "list", enrolled)[0] == {f"p{i}": 3 for i in range(4)}
        pictures = run(capsys, "gallery", "list", enrolled, "p1")[0]
        assert {one["source"] for one in pictures.values()} == {f"p1/{i}.png" for i in range(3)}
        digest = next(iter(pictures))
        report, _ = run(capsys, "gallery", "remove", enrolled, "p0", f"--picture={digest}")
        assert report == {"removed": 4, "people": 3, "pictures": 8}
        info, _ = run(capsys, "gallery", "info", enrolled)
        assert (info["people"], info["pictures"], info["generation"]) == (3, 8, 2)
        assert info["pictures_per_person"] == {"min": 2, "median": 3, "max": 3}
        assert main(["gallery", "info", str(enrolled)]) == DONE
        assert "pictures_per_person  min 2, median 3, max 3" in capsys.readouterr().out

    def test_somebody_called_as_a_field_is_no_error(self, file, people, capsys):
        arguments = ("--identity=left_out", "--model=model")
        run(capsys, "gallery", "enrol", file, people / "p0", *arguments)
        assert run(capsys, "gallery", "list", file)[0] == {"left_out": 3}

    def test_bad_arguments(self, enrolled, tmp_path, capsys):
        assert "Did you mean 'p1'?" in fails(capsys, "gallery", "remove", enrolled, "p1x")
        assert "takes names of people" in fails(capsys, "gallery", "remove", enrolled)
        assert "takes a file only" in fails(capsys, "gallery", "info", enrolled, "p1")
        assert "There is no gallery" in fails(capsys, "gallery", "list", tmp_path / "none")
        assert "--fpir must be num" in fails(capsys, "gallery", "calibrate", enrolled, "--fpir=x")
        assert "takes 1,000 searches" in fails(capsys, "gallery", "calibrate", enrolled)


class TestIdentify:
    def asked(self, enrolled, *arguments, model="model"):
        return ("identify", *arguments, f"--gallery={enrolled}", f"--model={model}")

    def test_everybody_is_identified(self, enrolled, people, capsys):
        arguments = self.asked(enrolled, people, "--threshold=1e-6", "--top=2")
        found, _ = run(capsys, *arguments)
        assert len(found) == 12
        for one in found:
            person, name = one["path"].split("/")[-2:]
            assert one["identity"] == person
            assert one["threshold"]["source"] == "given by --threshold"
            assert one["candidates"][0] == {
                "identity": person,
                "distance": 0.0,
                "source": f"{person}/{name}",
                "votes": 1,
            }
            assert len(one["candidates"]) == 2

    def test_unknown_and_unreadable(self, enrolled, people, tmp_path, capsys):
        (tmp_path / "stranger.png").write_bytes(encoded(photograph(77), "PNG"))
        (tmp_path / "broken.png").write_bytes(b"no picture")
        names = [tmp_path / "stranger.png", tmp_path / "broken.png", people / "p0" / "0.png"]
        for some, code in ((names[2:], DONE), (names[::2], 1), (names[1:], 1)):
            run(capsys, *self.asked(enrolled, *some, "--threshold=0"), code=code)
        found, err = run(capsys, *self.asked(enrolled, *names, "--threshold=0"), code=SOME_UNKNOWN)
        assert [one.get("identity") for one in found] == [None, None, "p0"]
        assert "is no usable image" in found[1]["error"]
        assert "broken.png is no usable image" in err

    def test_in_words(self, enrolled, people, capsys):
        picture = people / "p0" / "0.png"
        arguments = self.asked(enrolled, picture, "--threshold=0", "--k=1", "--top=1")
        assert main([*map(str, arguments)]) == DONE
        assert capsys.readouterr().out == f"{picture}: p0\n  0.0000  p0  p0/0.png\n"

    def test_without_a_threshold_there_is_no_verdict(self, enrolled, people, capsys):
        arguments = self.asked(enrolled, people / "p0" / "0.png")
        found, err = run(capsys, *arguments, code=NO_VERDICT)
        assert (found[0]["identity"], found[0]["threshold"]) == (None, None)
        assert "no verdict, because no threshold was measured" in err

    def test_thresholds_of_the_model_come_with_a_warning(self, enrolled, people, capsys):
        arguments = self.asked(enrolled, people / "p0" / "0.png", model="measured")
        found, err = run(capsys, *arguments)
        assert found[0]["threshold"]["operating_point"] == "accuracy"
        # 1 - .98 ** 12
        assert "up to 22% of all strangers for somebody of 12. " in err
        found, _ = run(capsys, *arguments, "--far=1e-2")
        assert found[0]["threshold"]["value"] == 0.0

    def test_the_gallery_s_own_come_first(self, enrolled, people, capsys):
        run(capsys, "gallery", "calibrate", enrolled, "--fpir=.5,.3", "--allow_few")
        stored = Gallery(enrolled).calibrations()
        arguments = self.asked(enrolled, people / "p0" / "0.png", model="measured")
        found, err = run(capsys, *arguments)
        assert found[0]["threshold"]["operating_point"] == "fpir_0.5"
        assert found[0]["threshold"]["value"] == stored[0].threshold
        assert err == ""
        found, _ = run(capsys, *arguments, "--fpir=.3")
        assert found[0]["threshold"]["value"] == stored[1].threshold
        assert run(capsys, *arguments, "--far=1e-2")[0][0]["threshold"]["value"] == 0.0
        message = fails(capsys, *arguments, "--fpir=.4")
        assert "for --fpir=0.4 with --rule=nearest. Stored: --fpir=0.5, --fpir=0.3" in message
        assert "Stored: none" in fails(capsys, *arguments, "--fpir=.3", "--rule=mean")
        run(capsys, "gallery", "remove", enrolled, "p3")
        assert "has changed since its thresholds" in run(capsys, *arguments)[1]

    def test_bad_arguments(self, enrolled, people, tmp_path, capsys):
        arguments = self.asked(enrolled, people)
        assert "--gallery is needed" in fails(capsys, "identify", people)
        assert "not both" in fails(capsys, *arguments, "--fpir=.1", "--far=.1")
        assert "not both" in fails(capsys, *arguments, "--fpir=.1", "--threshold=1")
        assert "in [0, 4]" in fails(capsys, *arguments, "--threshold=5")
        assert "at most 12, the pictures" in fails(capsys, *arguments, "--k=13")
        assert "at least 1" in fails(capsys, *arguments, "--top=0")
        assert "there is no such file" in fails(
            capsys, *self.asked(enrolled, people, model=tmp_path / "none")
        )
        assert "another model" in fails(capsys, *self.asked(enrolled, people, model="other"))

    def test_a_missing_package_is_one_line(self, enrolled, people, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "faiss", None)
        monkeypatch.delitem(sys.modules, "facezoo.gallery.faiss_index", raising=False)
        message = fails(capsys, *self.asked(enrolled, people, "--index=faiss"))
        assert message.count("\n") == 1
        assert "pip install 'facezoo[search]'" in message
