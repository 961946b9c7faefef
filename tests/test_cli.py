"""The command line: verbs, flags, the forms of a model, what is printed, and exit codes."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

import facezoo
from facezoo import presets, serving
from facezoo.backbones import MobileFaceNet
from facezoo.cli import model_loading
from facezoo.cli.main import main
from facezoo.data.decode import resize
from facezoo.data.images import decode_rgb
from facezoo.models import model_fingerprint

DIM = 4
SAME, DIFFERENT, ERROR, NO_VERDICT = 0, 1, 2, 3


def threshold_table(model):
    return {
        "format": 2,
        "distance": "squared_l2",
        "model": model_fingerprint(model),
        "preprocessing": model.preprocessing.fingerprint(),
        "chosen_on": "450 genuine and 4500 impostor pairs of 10 people",
        "tested_on": "as many pairs of 10 other people",
        "default": "accuracy",
        "operating_points": [
            {"name": "accuracy", "threshold": 3.5, "far": 0.02, "val": 0.9},
            {"name": "far_1e-2", "threshold": 0.0, "far": 0.01, "val": 0.8},
        ],
        "calibration": {"intercept": 7.0, "slope": -2.0, "prior": 0.5},
    }


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    backbone = MobileFaceNet(**MobileFaceNet.TINY, name="tiny")
    return facezoo.create_model(backbone, embedding_dim=DIM)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    model.save_preset(folder, thresholds=threshold_table(model))
    return folder


@pytest.fixture(scope="module")
def serving_dir(model, folder, tmp_path_factory):
    """Two complete versions, 2 older than 10, and 11, which is still being copied."""
    base = tmp_path_factory.mktemp("serving") / "facezoo"
    serving.export_saved_model(model, base / "10")
    shutil.copytree(base / "10", base / "2")
    (base / "10" / "assets.extra").mkdir()
    shutil.copy(folder / "preset.json", base / "10" / "assets.extra")
    (base / "11").mkdir()
    return base


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two photographs of different sizes."""
    base = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    paths = []
    for name, size in (("one.png", (20, 24, 3)), ("odd name, é.png", (31, 17, 3))):
        Image.fromarray(random.integers(0, 256, size, np.uint8)).save(base / name)
        paths.append(str(base / name))
    return paths


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"no image")
    return str(path)


def embed(model, path):
    """What the model says of a picture, by the functions that training calls."""
    with open(path, "rb") as file:
        image = resize(decode_rgb(file.read()), model.preprocessing)[None]
    answer = model(model.preprocessing.standardize(image), training=False)
    return {name: keras.ops.convert_to_numpy(values)[0] for name, values in answer.items()}


def expected_distance(model, pictures):
    one, other = (embed(model, path)["embedding"] for path in pictures)
    return float(np.sum((one - other) ** 2))


def verify_json(capsys, *arguments):
    code = main(["verify", "--json", *map(str, arguments)])
    captured = capsys.readouterr()
    assert not captured.err, captured.err
    return code, json.loads(captured.out)


def fails(capsys, *arguments):
    """Runs a command that must fail; returns what it says on stderr."""
    assert main([*map(str, arguments)]) == ERROR
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


class TestVerbs:
    def test_no_verb_prints_usage_as_error(self, capsys):
        message = fails(capsys)
        assert all(f"  {verb} " in message for verb in ("embed", "list", "verify"))

    def test_help_prints_usage(self, capsys):
        assert main(["--help"]) == 0
        assert "Usage: python -m facezoo VERB" in capsys.readouterr().out

    def test_unknown_verb_lists_verbs_and_the_nearest(self, capsys):
        message = fails(capsys, "verfy", "a.jpg")
        assert "unknown verb 'verfy'. Did you mean 'verify'?" in message
        assert "embed PICTURES.." in message

    @pytest.mark.parametrize("verb", ["list", "verify", "embed"])
    def test_help_of_a_verb_needs_nothing_else(self, verb, capsys):
        assert main([verb, "--help"]) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"Usage: python -m facezoo {verb}")
        assert "--json" in out

    def test_unknown_flag(self, capsys):
        message = fails(capsys, "list", "--jsn")
        assert "Unknown command line flag 'jsn'" in message
        assert "Usage: python -m facezoo list" in message

    def test_a_verb_whose_package_is_missing_is_listed_with_the_reason(self, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "facezoo.cli.convert", None)
        assert main(["--help"]) == 0
        usage = capsys.readouterr().out
        assert "convert\n      Not here: facezoo.cli.convert is not installed." in usage
        assert "train --examples" in usage

    def test_flags_may_stand_before_the_verb(self, capsys):
        assert main(["--json", "list"]) == 0
        assert "preset" in json.loads(capsys.readouterr().out)

    def test_a_bug_is_an_error_and_not_a_verdict(self, capsys, monkeypatch, pictures):
        monkeypatch.setattr(model_loading, "load", lambda path: 1 / 0)
        assert main(["verify", *pictures, "--model=x"]) == ERROR
        assert "ZeroDivisionError" in capsys.readouterr().err


class TestList:
    def test_names_every_part_and_preset(self, capsys):
        assert main(["list"]) == 0
        out = capsys.readouterr().out
        for kind in ("backbone", "head", "loss", "auxiliary_loss", "layer"):
            assert f"{kind}\n" in out
            assert all(f"  {name}" in out for name in facezoo.list_parts(kind))
        assert "nn4_small2, 96 x 96 pixels to 128 numbers, without weights" in out

    def test_json(self, capsys):
        assert main(["list", "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)
        assert list(listed["backbone"]) == facezoo.list_parts("backbone")
        assert list(listed["preset"]) == presets.names()

    def test_takes_no_arguments(self, capsys):
        assert "list takes no arguments. Received: nn4." in fails(capsys, "list", "nn4")


class TestVerify:
    def test_same(self, capsys, folder, pictures):
        assert main(["verify", *pictures, f"--model={folder}"]) == SAME
        out = capsys.readouterr().out
        assert "threshold  3.5  (operating point 'accuracy', chosen on 450 genuine and 4500" in out
        assert re.search(r"verdict    same person  \(same: (above )?[\d.]+%, if half", out)

    def test_different(self, capsys, folder, pictures):
        assert main(["verify", *pictures, f"--model={folder}", "--far=0.01"]) == DIFFERENT
        out = capsys.readouterr().out
        assert "operating point 'far_1e-2'" in out
        assert "verdict    different people" in out

    def test_no_probability_is_called_certain(self, capsys, model, tmp_path, pictures):
        for intercept, words in ((50.0, "same: above 99.9%"), (-50.0, "same: below 0.1%")):
            table = threshold_table(model)
            table["calibration"]["intercept"] = intercept
            model.save_preset(tmp_path, thresholds=table)
            main(["verify", *pictures, f"--model={tmp_path}"])
            assert words in capsys.readouterr().out

    def test_json_tells_all(self, capsys, model, folder, pictures):
        code, report = verify_json(capsys, *pictures, f"--model={folder}")
        assert code == SAME
        assert report["distance"] == pytest.approx(expected_distance(model, pictures), abs=1e-6)
        assert report["distance_name"] == "squared_l2"
        assert report["threshold"] == {
            "value": 3.5,
            "operating_point": "accuracy",
            "source": "450 genuine and 4500 impostor pairs of 10 people",
        }
        assert report["same"] is True
        assert report["typical"] == [None, None]
        logit = 7.0 - 2.0 * report["distance"]
        assert report["probability"] == pytest.approx(1 / (1 + np.exp(-logit)))
        assert report["images"] == pictures

    def test_a_distance_equal_to_the_threshold_is_same(self, capsys, folder, pictures):
        twice = [pictures[0], pictures[0]]
        code, report = verify_json(capsys, *twice, f"--model={folder}", "--far=1e-2")
        assert (code, report["distance"], report["threshold"]["value"]) == (SAME, 0.0, 0.0)

    def test_a_given_threshold_wins(self, capsys, folder, pictures):
        code, report = verify_json(capsys, *pictures, f"--model={folder}", "--threshold=0")
        assert code == DIFFERENT
        assert report["threshold"]["source"] == "given by --threshold"
        assert report["probability"] is None

    def test_without_measured_threshold_there_is_no_verdict(
        self, capsys, model, tmp_path, pictures
    ):
        model.save(tmp_path / "alone.keras")
        arguments = ["verify", *pictures, f"--model={tmp_path / 'alone.keras'}"]
        assert main(arguments) == NO_VERDICT
        out = capsys.readouterr().out
        assert f"distance   {expected_distance(model, pictures):.4g}" in out
        assert "no measured threshold is stored" in out
        assert "--threshold" in out
        assert "same" not in out
        assert main([*arguments, "--threshold=4"]) == SAME

    @pytest.mark.parametrize("what", ["preprocessing", "distance"])
    def test_thresholds_of_another_kind_are_refused(self, capsys, model, tmp_path, pictures, what):
        model.save_preset(tmp_path, thresholds=threshold_table(model) | {what: "0123456789abcdef"})
        message = fails(capsys, "verify", *pictures, f"--model={tmp_path}")
        assert f"measured with another {what} than this one" in message
        assert "Received: 0123456789abcdef" in message
        assert main(["verify", *pictures, f"--model={tmp_path}", "--threshold=4"]) == SAME

    def test_thresholds_of_other_weights_are_refused(self, capsys, model, tmp_path, pictures):
        table = threshold_table(model)
        other = facezoo.FaceModel.from_config(model.get_config())
        # One number of one weight is enough.
        weight = other.backbone.trainable_weights[0]
        weight.assign(weight + np.eye(*weight.shape[-2:]) * 1e-6)
        other.save_preset(tmp_path, thresholds=table)
        message = fails(capsys, "verify", *pictures, f"--model={tmp_path}")
        assert f"another model than this one. Expected: {model_fingerprint(other)}" in message
        assert f"Received: {table['model']}" in message

    def test_a_far_that_was_not_measured(self, capsys, folder, pictures):
        message = fails(capsys, "verify", *pictures, f"--model={folder}", "--far=1e-6")
        assert "No threshold is stored for --far=1e-06. Stored: --far=1e-2." in message

    def test_far_and_threshold_exclude_each_other(self, capsys, folder, pictures):
        flags = (f"--model={folder}", "--far=1e-2", "--threshold=1")
        assert "not both" in fails(capsys, "verify", *pictures, *flags)

    @pytest.mark.parametrize("value", ["-0.1", "4.1", "nan"])
    def test_an_impossible_threshold(self, capsys, folder, pictures, value):
        flags = (f"--model={folder}", f"--threshold={value}")
        assert "in [0, 4]" in fails(capsys, "verify", *pictures, *flags)

    def test_wants_two_pictures_and_a_model(self, capsys, folder, pictures):
        message = fails(capsys, "verify", pictures[0], f"--model={folder}")
        assert "two photographs. Received: 1." in message
        assert "--model is needed: a .keras file" in fails(capsys, "verify", *pictures)

    def test_a_picture_that_cannot_be_read(self, capsys, folder, pictures, broken):
        message = fails(capsys, "verify", pictures[0], broken, f"--model={folder}")
        assert f"{broken} is no usable image: not an image" in message
        message = fails(capsys, "verify", pictures[0], "missing.jpg", f"--model={folder}")
        assert "No such file or directory: 'missing.jpg'" in message


class TestModelForms:
    @pytest.mark.parametrize(
        "form", ["folder", "keras_file", "saved_model", "serving_dir", "dir_of_one_model"]
    )
    def test_all_forms_agree(self, capsys, model, folder, serving_dir, pictures, form):
        path = {
            "folder": folder,
            "keras_file": folder / "model.keras",
            "saved_model": serving_dir / "10",
            "serving_dir": serving_dir,
            "dir_of_one_model": serving_dir.parent,
        }[form]
        code, report = verify_json(capsys, *pictures, f"--model={path}")
        assert code == SAME
        assert report["distance"] == pytest.approx(expected_distance(model, pictures), abs=1e-5)
        assert report["threshold"]["value"] == 3.5

    def test_a_saved_model_without_preset_has_no_thresholds(self, capsys, serving_dir, pictures):
        code, report = verify_json(capsys, *pictures, f"--model={serving_dir / '2'}")
        assert (code, report["threshold"], report["same"]) == (NO_VERDICT, None, None)

    def test_thresholds_belong_to_the_weights_that_the_preset_names(
        self, capsys, folder, tmp_path, pictures
    ):
        shutil.copytree(folder, tmp_path / "both")
        shutil.copy(folder / "model.keras", tmp_path / "both" / "other.keras")
        code, _ = verify_json(capsys, *pictures, f"--model={tmp_path / 'both' / 'other.keras'}")
        assert code == NO_VERDICT

    def test_a_preset_without_weights(self, capsys, pictures):
        message = fails(capsys, "verify", *pictures, "--model=nn4")
        assert "'nn4' has no weights" in message
        assert "pipelines.run" in message

    @pytest.mark.parametrize("name", ["nothing", "empty", "text.keras", "plain.keras", "model.h5"])
    def test_what_is_no_model(self, capsys, tmp_path, pictures, name):
        (tmp_path / "empty").mkdir()
        (tmp_path / "text.keras").write_text("text")
        (tmp_path / "model.h5").write_text("text")
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "plain.keras")
        message = fails(capsys, "verify", *pictures, f"--model={tmp_path / name}")
        expected = {
            "nothing": "there is no such file or folder",
            "empty": "it is none of these",
            "text.keras": "text.keras",
            "plain.keras": "must hold a FaceModel. Received: a Sequential.",
            "model.h5": "it is none of these",
        }[name]
        assert expected in message

    @pytest.mark.parametrize("damage", ["cut off", "one byte"])
    def test_damaged_weights(self, capsys, folder, tmp_path, pictures, damage):
        copy = shutil.copytree(folder, tmp_path / "copy")
        weights = copy / "model.keras"
        data = bytearray(weights.read_bytes())
        data[len(data) // 2] ^= 0xFF
        weights.write_bytes(data if damage == "one byte" else data[:-1000])
        for model in (copy, weights):
            message = fails(capsys, "verify", *pictures, f"--model={model}")
            assert f"{weights} is damaged or no Keras model" in message

    def test_a_model_of_classes_that_facezoo_does_not_have(
        self, capsys, folder, tmp_path, pictures
    ):
        with (
            zipfile.ZipFile(folder / "model.keras") as source,
            zipfile.ZipFile(tmp_path / "other.keras", "w") as target,
        ):
            for name in source.namelist():
                target.writestr(name, source.read(name).replace(b"FaceModel", b"BodyModel"))
        message = fails(capsys, "verify", *pictures, f"--model={tmp_path / 'other.keras'}")
        assert "other.keras is no model of facezoo" in message
        assert "BodyModel" in message
        assert len(message.splitlines()) == 1

    def test_a_broken_preset_beside_the_weights(self, capsys, folder, tmp_path, pictures):
        shutil.copytree(folder, tmp_path / "copy")
        (tmp_path / "copy" / "preset.json").write_text("{")
        for model in ("copy", "copy/model.keras"):
            message = fails(capsys, "verify", *pictures, f"--model={tmp_path / model}")
            assert "preset.json is not JSON" in message


class TestEmbed:
    def test_csv_reads_back_exactly(self, capsys, model, folder, pictures):
        assert main(["embed", *pictures, f"--model={folder}"]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        rows = list(csv.DictReader(io.StringIO(captured.out)))
        assert [row["path"] for row in rows] == pictures
        for row, path in zip(rows, pictures, strict=True):
            answer = embed(model, path)
            found = np.array([row[f"embedding_{i}"] for i in range(DIM)], np.float32)
            np.testing.assert_allclose(found, answer["embedding"], atol=1e-6)
            assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-6)
            assert float(row["norm"]) == pytest.approx(answer["norm"], rel=1e-5)

    def test_a_saved_model_embeds_as_the_keras_model(self, capsys, folder, serving_dir, pictures):
        found = []
        for model in (folder, serving_dir):
            assert main(["embed", "--json", *pictures, f"--model={model}"]) == 0
            lines = capsys.readouterr().out.splitlines()
            found.append([json.loads(line)["embedding"] for line in lines])
        np.testing.assert_allclose(found[0], found[1], atol=1e-5)


@pytest.mark.slow
def test_as_a_program(folder, pictures, broken):
    def run(*arguments):
        command = [sys.executable, "-m", "facezoo", *arguments, f"--model={folder}"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    result = run("verify", *pictures, "--json")
    assert (result.returncode, json.loads(result.stdout)["same"]) == (SAME, True)
    result = run("verify", pictures[0], broken)
    assert (result.returncode, result.stdout) == (ERROR, "")
    assert "no usable image" in result.stderr.splitlines()[-1]
