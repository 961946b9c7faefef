"""Presets: built-in names and folders, what is refused, and what saving promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from facezoo import presets
from facezoo.data.preprocessing import Preprocessing

PRESET = {
    "name": "mine",
    "backbone": {"name": "nn4", "overrides": {"image_shape": [96, 80, 3]}},
    "embedding_dim": 64,
    "embedding_pooling": "average",
    "embedding_batch_norm": True,
    "embedding_options": {"dropout": 0.2},
    "head": {"name": "cosface", "num_classes": 30},
    "auxiliary_loss": {"name": "center", "num_classes": 30},
    "preprocessing": Preprocessing(96, 80).get_config(),
    "weights": "model.keras",
    "thresholds": {"default": "accuracy"},
    "crop_statistics": None,
    "card": "README.md",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"weights")
    presets.save(tmp_path, PRESET)
    return tmp_path


def _write(folder, **changes):
    content = {key: value for key, value in {**PRESET, **changes}.items() if value is not ...}
    (folder / "preset.json").write_text(json.dumps(content))


def test_names_are_sorted_and_hold_the_networks_of_the_zoo():
    names = presets.names()
    assert names == sorted(names)
    wanted = {"nn2", "nn3", "nn4", "nn4_small1", "nn4_small2", "mobilefacenet"}
    assert wanted <= set(names)


@pytest.mark.parametrize("name", presets.names())
def test_a_built_in_preset_bears_its_file_name_and_has_no_weights_or_thresholds(name):
    preset = presets.load(name)
    assert preset["name"] == name
    assert preset["weights"] is None
    assert preset["thresholds"] is None


def test_each_load_returns_its_own_copy():
    presets.load("nn4")["backbone"]["name"] = "changed"
    assert presets.load("nn4")["backbone"]["name"] == "nn4"


def test_a_folder_gives_back_what_was_saved_with_weights_as_absolute_path(folder):
    loaded = presets.load(folder)
    assert loaded == {**PRESET, "weights": str(folder / "model.keras")}
    assert presets.load(str(folder)) == loaded


def test_a_relative_folder_gives_absolute_weights(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert presets.load(folder.name)["weights"] == str(folder / "model.keras")


def test_a_saved_folder_can_be_moved(folder):
    text = presets.save(folder, presets.load(folder)).read_text()
    assert str(folder) not in text
    moved = folder.rename(folder.with_name("moved"))
    assert presets.load(moved)["weights"] == str(moved / "model.keras")


def test_equal_presets_give_equal_bytes_and_nothing_else_is_left(folder):
    first = (folder / "preset.json").read_bytes()
    presets.save(folder, dict(reversed(PRESET.items())))
    assert (folder / "preset.json").read_bytes() == first
    assert sorted(file.name for file in folder.iterdir()) == ["model.keras", "preset.json"]


def test_a_refused_preset_leaves_the_old_one(folder):
    before = (folder / "preset.json").read_bytes()
    with pytest.raises(ValueError, match="Missing: head"):
        presets.save(folder, {key: value for key, value in PRESET.items() if key != "head"})
    assert (folder / "preset.json").read_bytes() == before


def test_weights_outside_the_folder_are_refused(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "model.keras"
    elsewhere.write_bytes(b"")
    for weights in (str(elsewhere), "../model.keras"):
        with pytest.raises(ValueError, match="must lie in its folder"):
            presets.save(folder, {**PRESET, "weights": weights})


def test_an_absent_optional_key_reads_as_none(folder):
    _write(folder, embedding_batch_norm=...)
    assert presets.load(folder)["embedding_batch_norm"] is None
    assert presets.load(folder)["embedding_options"] == PRESET["embedding_options"]


def test_an_unknown_name_lists_the_known_and_the_nearest():
    with pytest.raises(ValueError, match=r"Did you mean 'nn4_small2'\?.*mobilefacenet") as error:
        presets.load("nn4_smal2")
    assert "\n" not in str(error.value)


def test_a_name_like_no_other_gets_no_hint():
    with pytest.raises(ValueError, match="Unknown preset 'clowntown'") as error:
        presets.load("clowntown")
    assert "Did you mean" not in str(error.value)


def test_a_folder_without_preset_json(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no preset\.json"):
        presets.load(tmp_path)


def test_a_file_in_place_of_a_folder(folder):
    with pytest.raises(ValueError, match="Give the folder it lies in"):
        presets.load(folder / "preset.json")


def test_missing_weights_are_named(folder):
    (folder / "model.keras").unlink()
    with pytest.raises(FileNotFoundError, match=r"names the weights 'model\.keras'"):
        presets.load(folder)


def test_what_is_not_json_says_where(folder):
    (folder / "preset.json").write_text('{"name": ')
    with pytest.raises(ValueError, match=r"preset\.json is not JSON: .*line 1"):
        presets.load(folder)
    (folder / "preset.json").write_text("[1]")
    with pytest.raises(ValueError, match="must hold an object. Received: list"):
        presets.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": ..., "card": ...}, "Missing: card, head. Unknown: nothing"),
        ({"colour": "red"}, "Unknown: colour. Known keys: auxiliary_loss, backbone"),
        ({"embedding_dim": "64"}, "embedding_dim must be a number. Received: '64'"),
        ({"embedding_dim": True}, "embedding_dim must be a number. Received: True"),
        ({"name": None}, "name must be text. Received: None"),
        ({"thresholds": []}, "thresholds must be an object or null"),
        ({"backbone": {"name": "nn4"}}, "backbone must be .*overrides"),
        ({"head": {"margin": 0.2}}, "head must have a name"),
    ],
)
def test_wrong_content_is_refused(folder, changes, message):
    _write(folder, **changes)
    with pytest.raises(ValueError, match=message):
        presets.load(folder)


def test_a_built_in_name_wins_over_a_folder_of_that_name(folder, monkeypatch):
    folder.rename(folder.with_name("nn4"))
    monkeypatch.chdir(folder.parent)
    assert presets.load("nn4")["weights"] is None
    assert presets.load("./nn4")["weights"] is not None


def test_the_module_needs_no_keras():
    file = Path(presets.__file__)
    code = (
        "import runpy, sys; "
        f"runpy.run_path({str(file)!r}); "
        "sys.exit(bool({'keras', 'tensorflow', 'facezoo'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
