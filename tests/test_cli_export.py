"""`python -m facezoo export`: files, table, what is refused, and nothing half done."""

import dataclasses
import json

import numpy as np
import pytest

import facezoo
from facezoo import presets
from facezoo.cli import export_measures, export_writing
from facezoo.cli.main import main
from facezoo.serving.formats import FORMS
from tests.coloured_people import draw_color, save_picture, save_tiny_preset

_NUM_PEOPLE = 6
_ERROR = 2


@pytest.fixture(autouse=True)
def no_time_is_spent(monkeypatch):
    monkeypatch.setattr(export_writing, "_NUM_PAINTED", 1)
    monkeypatch.setattr(export_measures, "_SECONDS_PER_TURN", 0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_preset(tmp_path_factory.mktemp("preset"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Pictures of people, two each, and all pairs of the first with the second ones."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (folder / "images").mkdir()
    for person in range(_NUM_PEOPLE):
        color = draw_color(rng)
        for number in range(2):
            save_picture(folder / "images" / f"{person}_{number}.png", rng, color, spread=10)
    people = range(_NUM_PEOPLE)
    lines = [f"{one}_0.png,{other}_1.png,{int(one == other)}" for one in people for other in people]
    (folder / "pairs.csv").write_text("\n".join(["first,second,same", *lines]) + "\n")
    return folder


@pytest.fixture
def failing(monkeypatch):
    """Makes a form fail in the middle of its file."""

    def write(trained, path):
        path.write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setitem(FORMS, "tflite", dataclasses.replace(FORMS["tflite"], write=write))


def export(*arguments):
    return main(["export", *map(str, arguments)])


class TestExport:
    @pytest.mark.slow
    def test_every_form_with_what_was_measured(self, capsys, model, data, tmp_path):
        out = tmp_path / "out"
        code = export(
            "--json",
            f"--model={model}",
            f"--out={out}",
            f"--formats={','.join(FORMS)}",
            f"--calibration={data / 'images'}",
            "--protocol=csv",
            f"--pairs={data / 'pairs.csv'}",
            f"--images={data / 'images'}",
            "--far=0.4,0.01",
        )
        report = json.loads(capsys.readouterr().out)
        assert code == 0
        assert report == json.loads((out / "export.json").read_text())
        assert [row["form"] for row in report["forms"]] == list(FORMS)
        assert report["num_calibration"] == 2 * _NUM_PEOPLE
        assert report["checked_on"] == "12 pictures of pairs"
        for row in report["forms"]:
            path = out / row["path"]
            files = path.rglob("*") if path.is_dir() else [path]
            assert row["bytes"] == sum(one.stat().st_size for one in files if one.is_file())
            assert set(row["images_per_second"]) == {"1", "8"}
            assert min(row["images_per_second"].values()) > 0
            # 30 impostor pairs do not support the lower one.
            assert set(row["verification"]["val"]) == {"0.4"}
        keras, *_, integers, _ = report["forms"]
        assert keras["change"] == {"auc": 0.0, "val": {"0.4": 0.0}}
        assert keras["max_difference"] < 1e-6 < integers["max_difference"]
        assert (out / "saved_model" / "1" / "saved_model.pb").is_file()

    @pytest.mark.slow
    def test_what_is_exported_can_be_exported_and_used(self, capsys, model, tmp_path):
        out = tmp_path / "out"
        assert export(f"--model={model}", f"--out={out}", "--formats=keras,saved_model") == 0
        table = capsys.readouterr().out
        assert table.count("not measured") == 4
        assert "1 pictures of painted faces" in table and "no threshold" in table
        assert presets.load(out)["name"] == presets.load(model)["name"]
        assert facezoo.FaceModel.from_preset(out).embedding.embedding_dim == 8
        served = presets.load(out / "saved_model" / "1" / "assets.extra")
        assert served["preprocessing"] == presets.load(model)["preprocessing"]


class TestRefuses:
    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            (["--formats=tflite_int8"], "needs --calibration"),
            (["--calibration=x"], "--calibration is for tflite_int8"),
            (["--formats=keras,pickle"], "Received: pickle"),
            (["--formats="], "--formats must be among"),
            (["--pairs=x"], "give --pairs and --protocol"),
            (["--protocol=ytf", "--pairs=x"], "--protocol=ytf"),
            (["more"], "export takes flags only"),
            (["--formats=tflite_int8", "--calibration=none/*.png"], "There is no photograph in"),
        ],
    )
    def test_what_does_not_fit(self, capsys, model, tmp_path, flags, expected):
        code = export(f"--model={model}", f"--out={tmp_path / 'out'}", *flags)
        assert code == _ERROR
        assert expected in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_a_folder_with_something_in_it(self, capsys, model, tmp_path):
        (tmp_path / "mine").write_text("mine")
        assert export(f"--model={model}", f"--out={tmp_path}") == _ERROR
        assert "new or an empty folder" in capsys.readouterr().err
        assert [one.name for one in tmp_path.iterdir()] == ["mine"]

    def test_a_missing_package_by_the_name_of_the_extra(self, capsys, model, tmp_path, monkeypatch):
        onnx = dataclasses.replace(FORMS["onnx"], packages=("no_such_package",))
        monkeypatch.setitem(FORMS, "onnx", onnx)
        assert export(f"--model={model}", f"--out={tmp_path / 'out'}") == _ERROR
        (line,) = capsys.readouterr().err.splitlines()
        assert "no_such_package" in line and "facezoo[export]" in line

    def test_what_is_no_keras_model(self, capsys, tmp_path):
        (tmp_path / "saved_model.pb").write_bytes(b"")
        out = tmp_path / "out"
        assert export(f"--model={tmp_path}", f"--out={out}") == _ERROR
        assert "--model must be a .keras file, a preset folder" in capsys.readouterr().err


class TestWholeOrNotAtAll:
    def test_a_failure_leaves_nothing(self, capsys, model, tmp_path, failing):
        out = tmp_path / "out"
        assert export(f"--model={model}", f"--out={out}", "--formats=keras,tflite") == _ERROR
        assert "the disk is full" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_a_form_that_embeds_otherwise_leaves_nothing(
        self, capsys, model, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(export_writing, "MAX_DIFFERENCE", -1.0)
        out = tmp_path / "out"
        assert export(f"--model={model}", f"--out={out}", "--formats=keras") == _ERROR
        assert "keras does not embed as Keras does" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_what_a_killed_run_left_is_cleared_away(self, capsys, model, tmp_path):
        (tmp_path / "out.partial").mkdir()
        (tmp_path / "out.partial" / "model.onnx").write_bytes(b"half")
        assert export(f"--model={model}", f"--out={tmp_path / 'out'}", "--formats=keras") == 0
        assert [one.name for one in tmp_path.iterdir()] == ["out"]
        found = {one.name for one in (tmp_path / "out").iterdir()}
        assert found == {"model.keras", "preset.json", "export.json"}
