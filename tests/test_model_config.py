"""The server's config: labels on versions that it loads, and nobody's own lines lost."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from facezoo.serving import model_config

PINNED = """
model_config_list {
  config {
    name: "facezoo"
    base_path: "/srv/facezoo"
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 1 } }
    version_labels { key: "stable" value: 1 }
    version_labels { key: "canary" value: 1 }
  }
}
"""


def add_versions(serving_dir, *versions, name="facezoo"):
    for version in versions:
        (serving_dir / name / str(version)).mkdir(parents=True)


def entry_of(serving_dir, name="facezoo"):
    return model_config.find_entry(model_config.read_config(serving_dir), name)


def labels_of(serving_dir):
    return dict(entry_of(serving_dir).version_labels)


def test_a_new_config_is_what_the_server_reads(tmp_path):
    add_versions(tmp_path, 1, 2, 3)
    model_config.update_config(tmp_path, "facezoo")
    text = (tmp_path / "models.config").read_text()
    (entry,) = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    assert (entry.name, entry.base_path) == ("facezoo", "/models/facezoo")
    assert entry.model_platform == "tensorflow"
    assert entry.model_version_policy.latest.num_versions == 3
    assert dict(entry.version_labels) == {"stable": 2, "canary": 3}
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["models.config"]


def test_a_label_never_leaves_for_a_version_alone(tmp_path):
    """Until the labels are moved, the server must go on loading what they pointed to."""
    for newest in range(1, 6):
        before = labels_of(tmp_path) if newest > 1 else {}
        add_versions(tmp_path, newest)
        served = range(1, newest + 1)[-model_config.NUM_VERSIONS :]
        assert set(before.values()) <= set(served)
        model_config.update_config(tmp_path, "facezoo")
        assert set(labels_of(tmp_path).values()) <= set(served)


def test_twice_is_once(tmp_path):
    add_versions(tmp_path, 1)
    model_config.update_config(tmp_path, "facezoo")
    path = tmp_path / "models.config"
    before = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino
    model_config.update_config(tmp_path, "facezoo")
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_somebodys_lines_stay(tmp_path):
    add_versions(tmp_path, 1, 2)
    model_config.update_config(tmp_path, "facezoo", models_dir="/srv/faces/")
    model_config.update_config(tmp_path, "other")
    config = model_config.read_config(tmp_path)
    entry = model_config.find_entry(config, "facezoo")
    entry.version_labels["mine"] = 1
    entry.model_version_policy.latest.num_versions = 2
    (tmp_path / "models.config").write_text(text_format.MessageToString(config))
    add_versions(tmp_path, 4)
    model_config.update_config(tmp_path, "facezoo")
    entry = entry_of(tmp_path)
    assert entry.base_path == "/srv/faces/facezoo"
    assert entry.model_version_policy.latest.num_versions == 2
    assert dict(entry.version_labels) == {"mine": 1, "stable": 2, "canary": 4}
    assert entry_of(tmp_path, "other").base_path == "/models/other"


@pytest.mark.parametrize(
    ("policy", "stable"),
    [("", 3), ("latest {}", 3), ("latest { num_versions: 1 }", 3), ("all {}", 2)],
)
def test_labels_stay_on_what_the_policy_loads(tmp_path, policy, stable):
    add_versions(tmp_path, 1, 2, 3)
    entry = f'name: "facezoo" model_version_policy {{ {policy} }}'
    (tmp_path / "models.config").write_text(f"model_config_list {{ config {{ {entry} }} }}")
    model_config.update_config(tmp_path, "facezoo")
    assert labels_of(tmp_path) == {"stable": stable, "canary": 3}


def test_a_roll_back_is_not_undone(tmp_path):
    add_versions(tmp_path, 1, 2, 3)
    (tmp_path / "models.config").write_text(PINNED)
    model_config.update_config(tmp_path, "facezoo")
    assert (tmp_path / "models.config").read_text() == PINNED


@pytest.mark.parametrize("content", [b"model_config_list { confg {} }", b"\xff\xfe", b"{}"])
def test_what_is_no_config_is_left_and_named(tmp_path, content):
    (tmp_path / "models.config").write_bytes(content)
    with pytest.raises(ValueError, match=r"models\.config is no ModelServerConfig.*or delete it"):
        model_config.update_config(tmp_path, "facezoo")
    assert (tmp_path / "models.config").read_bytes() == content


def test_a_write_that_fails_leaves_the_old_config(tmp_path, monkeypatch):
    add_versions(tmp_path, 1)
    model_config.update_config(tmp_path, "facezoo")
    before = (tmp_path / "models.config").read_bytes()
    add_versions(tmp_path, 2)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_config.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        model_config.update_config(tmp_path, "facezoo")
    assert (tmp_path / "models.config").read_bytes() == before


def test_the_server_is_told_where_the_config_is():
    flags = model_config.server_flags("/srv/faces/")
    assert flags[0] == "--model_config_file=/srv/faces/models.config"
    assert "--allow_version_labels_for_unavailable_models=true" in flags
