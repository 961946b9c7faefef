"""Pusher: only blessed models, only whole versions, each content once."""

import errno
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from facezoo.serving import model_config
from pipelines import fingerprints
from pipelines.artifacts import InfraBlessing, ModelBlessing, PushedModel
from pipelines.component import Channel, Component, ComponentError, Context
from pipelines.components import pusher
from pipelines.components.pusher import Pusher
from pipelines.executions import ExecutionStore
from pipelines.runner import run_pipeline

FILES = {
    "assets.extra/preset.json": b"preset",
    "assets.extra/tf_serving_warmup_requests": b"warm-up",
    "saved_model.pb": b"graph",
    "variables/variables.data-00000-of-00001": b"weights",
    "variables/variables.index": b"index",
}


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write_files(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def source(tmp_path):
    """What is pushed: a SavedModel as far as Pusher looks."""
    return write_files(tmp_path / "source", FILES)


@pytest.fixture
def serving_dir(tmp_path):
    return tmp_path / "serving"


@pytest.fixture
def model_dir(serving_dir):
    """Where the versions of the one model are."""
    (serving_dir / "facezoo").mkdir(parents=True)
    return serving_dir / "facezoo"


@pytest.fixture
def inputs(tmp_path, source):
    (tmp_path / "infra").mkdir()
    shutil.copytree(source, tmp_path / "infra" / "stamped_model")
    return {
        "model_blessing": ModelBlessing(tmp_path / "blessing", {"blessed": 1}),
        "infra_blessing": InfraBlessing(tmp_path / "infra", {"blessed": 1, "has_model": 1}),
    }


def make_pusher(**params):
    inputs = {key: Channel(None, key) for key in Pusher.INPUTS}
    return Pusher(pusher.Params(**params), **inputs)


def run(inputs, serving_dir, folder, **params):
    folder.mkdir()
    pushed_model = PushedModel(folder)
    counts = make_pusher(**params).run(inputs, {"pushed_model": pushed_model}, Context(serving_dir))
    return pushed_model, counts


def in_another_process(action):
    """Runs `action` in a child process; returns the signal that ended it, 0 for none."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


class TestRun:
    def test_a_blessed_model_is_pushed_as_it_was_stamped(self, inputs, serving_dir, tmp_path):
        before = content(inputs["infra_blessing"].uri)
        pushed_model, counts = run(inputs, serving_dir, tmp_path / "out")
        assert counts == {"pushed": 1, "version": 1}
        properties = {"pushed": 1, "pushed_version": "1", "pushed_destination": "facezoo/1"}
        assert pushed_model.properties == properties
        assert content(serving_dir / "facezoo" / "1") == FILES
        assert content(pushed_model.uri) == FILES
        assert content(inputs["infra_blessing"].uri) == before

    def test_under_another_name(self, inputs, serving_dir, tmp_path):
        run(inputs, serving_dir, tmp_path / "one")
        pushed_model, _ = run(inputs, serving_dir, tmp_path / "other", model_name="faces-2")
        assert pushed_model.properties["pushed_destination"] == "faces-2/1"
        assert content(serving_dir / "faces-2" / "1") == FILES
        config = model_config.read_config(serving_dir)
        assert [one.name for one in config.model_config_list.config] == ["facezoo", "faces-2"]

    @pytest.mark.parametrize("name", ["", "1", "a/b", "..", "models.config", "a b"])
    def test_what_cannot_be_a_name(self, name):
        with pytest.raises(ValueError, match="model_name must be a letter"):
            pusher.Params(model_name=name)

    @pytest.mark.parametrize(
        ("key", "reason"),
        [
            ("model_blessing", "Evaluator has not blessed the model."),
            ("infra_blessing", "InfraValidator has not blessed the model: It is cut off."),
        ],
    )
    def test_without_both_blessings_nothing_is_pushed(
        self, inputs, serving_dir, tmp_path, key, reason
    ):
        inputs[key].properties = {"blessed": 0, "reason": "It is cut off."}
        pushed_model, counts = run(inputs, serving_dir, tmp_path / "out")
        assert pushed_model.properties == {"pushed": 0, "reason": reason}
        assert counts == {"pushed": 0, "reason": reason}
        assert content(pushed_model.uri) == {}
        assert not serving_dir.exists()

    def test_the_same_inputs_give_the_same_artifact_and_no_second_version(
        self, inputs, serving_dir, tmp_path
    ):
        one, counts = run(inputs, serving_dir, tmp_path / "one")
        other, counts_again = run(inputs, serving_dir, tmp_path / "other")
        assert content(one.uri) == content(other.uri)
        assert (one.properties, counts) == (other.properties, counts_again)
        assert sorted(os.listdir(serving_dir)) == ["facezoo", "models.config"]
        assert os.listdir(serving_dir / "facezoo") == ["1"]

    def test_another_model_is_another_version(self, inputs, serving_dir, tmp_path):
        run(inputs, serving_dir, tmp_path / "one")
        write_files(inputs["infra_blessing"].uri / "stamped_model", {"saved_model.pb": b"new"})
        pushed_model, _ = run(inputs, serving_dir, tmp_path / "other")
        assert pushed_model.properties["pushed_version"] == "2"
        assert sorted(os.listdir(serving_dir / "facezoo")) == ["1", "2"]

    def test_a_serving_folder_that_cannot_be_written(self, inputs, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(ComponentError, match="cannot be pushed .*Not a directory.*again"):
            run(inputs, tmp_path / "file" / "serving", tmp_path / "out")

    def test_a_full_disk(self, inputs, serving_dir, tmp_path, monkeypatch):
        copied, copyfile = [], shutil.copyfile

        def copy_two(source, target, **options):
            if serving_dir in Path(target).parents:
                if len(copied) == 2:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                copied.append(target)
            return copyfile(source, target, **options)

        monkeypatch.setattr(pusher.shutil, "copyfile", copy_two)
        with pytest.raises(ComponentError, match="No space left on device.*Make room"):
            run(inputs, serving_dir, tmp_path / "out")
        assert len(copied) == 2
        assert os.listdir(serving_dir) == ["facezoo"]
        assert os.listdir(serving_dir / "facezoo") == []


class TestVersions:
    @pytest.mark.parametrize(
        ("names", "version"),
        [([], 1), (["2", "10"], 11), (["007"], 8), (["1700000000"], 1700000001)],
    )
    def test_one_more_than_the_largest(self, source, model_dir, names, version):
        for name in [*names, "latest", "-3", "1.5", ".pushing-x"]:
            (model_dir / name).mkdir(parents=True)
        assert pusher.push(source, model_dir) == version
        assert content(model_dir / str(version)) == FILES

    def test_only_the_newest_is_compared(self, source, model_dir, tmp_path):
        """Pushing an old model again makes it the newest: that is a roll-back."""
        pusher.push(source, model_dir)
        other = write_files(tmp_path / "other", {"saved_model.pb": b"other"})
        assert pusher.push(other, model_dir) == 2
        assert pusher.push(source, model_dir) == 3
        assert content(model_dir / "3") == FILES

    def test_the_graph_is_copied_last(self, source, model_dir, monkeypatch):
        copied = []
        copyfile = shutil.copyfile

        def record(one, other):
            copied.append(one.name)
            return copyfile(one, other)

        monkeypatch.setattr(pusher.shutil, "copyfile", record)
        pusher.push(source, model_dir)
        assert len(copied) == len(FILES)
        assert copied[-1] == "saved_model.pb"


class TestKilled:
    @pytest.mark.parametrize("step", ["first copy", "last copy", "folder sync", "move"])
    def test_before_the_move(self, source, model_dir, monkeypatch, step):
        copyfile, sync = shutil.copyfile, pusher._sync

        def kill_at_last_copy(one, other):
            return kill() if one.name == "saved_model.pb" else copyfile(one, other)

        def kill_at_folder(path):
            return kill() if path.is_dir() else sync(path)

        with monkeypatch.context() as patch:
            if step == "move":
                patch.setattr(pusher.os, "rename", kill)
            elif step == "folder sync":
                patch.setattr(pusher, "_sync", kill_at_folder)
            else:
                deadly = kill if step == "first copy" else kill_at_last_copy
                patch.setattr(pusher.shutil, "copyfile", deadly)
            ended = in_another_process(lambda: pusher.push(source, model_dir))
        assert ended == signal.SIGKILL
        assert model_config.find_versions(model_dir) == {}
        assert os.listdir(model_dir) != []
        assert pusher.push(source, model_dir) == 1
        assert os.listdir(model_dir) == ["1"]
        assert content(model_dir / "1") == FILES

    def test_after_the_move_there_is_no_second_version(self, source, model_dir, monkeypatch):
        rename = os.rename

        def rename_and_die(one, other):
            rename(one, other)
            kill()

        with monkeypatch.context() as patch:
            patch.setattr(pusher.os, "rename", rename_and_die)
            ended = in_another_process(lambda: pusher.push(source, model_dir))
        assert ended == signal.SIGKILL
        assert content(model_dir / "1") == FILES
        assert pusher.push(source, model_dir) == 1
        assert os.listdir(model_dir) == ["1"]

    def test_two_pushers_at_once_do_not_lose_a_version(self, serving_dir, tmp_path, monkeypatch):
        sources = [
            write_files(tmp_path / f"source{n}", {**FILES, "saved_model.pb": bytes([n])})
            for n in range(4)
        ]
        copyfile, children = shutil.copyfile, []

        def copy_slowly(one, other):
            # Long enough for the others to get in, if they could.
            time.sleep(0.01)
            copyfile(one, other)

        monkeypatch.setattr(pusher.shutil, "copyfile", copy_slowly)
        for source in sources:
            if (child := os.fork()) == 0:
                try:
                    pusher.publish(source, serving_dir, "facezoo")
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
        pushed = {content(serving_dir / "facezoo" / str(n))["saved_model.pb"] for n in range(1, 5)}
        assert pushed == {bytes([n]) for n in range(4)}
        assert sorted(os.listdir(serving_dir / "facezoo")) == ["1", "2", "3", "4"]
        labels = model_config.read_config(serving_dir).model_config_list.config[0].version_labels
        assert dict(labels) == {"stable": 3, "canary": 4}


class TestModelConfig:
    def labels(self, serving_dir):
        return dict(
            model_config.read_config(serving_dir).model_config_list.config[0].version_labels
        )

    def test_labels_follow_the_versions(self, serving_dir, tmp_path):
        for version, expected in enumerate([(1, 1), (1, 2), (2, 3)], start=1):
            source = write_files(tmp_path / str(version), {"saved_model.pb": bytes([version])})
            assert pusher.publish(source, serving_dir, "facezoo") == version
            assert self.labels(serving_dir) == dict(
                zip(("stable", "canary"), expected, strict=True)
            )

    def test_the_config_comes_after_the_version(self, source, serving_dir, monkeypatch):
        """Told of a version that is not there, the server would drop the whole config."""
        with monkeypatch.context() as patch:
            patch.setattr(model_config, "update_config", kill)
            ended = in_another_process(lambda: pusher.publish(source, serving_dir, "facezoo"))
        assert ended == signal.SIGKILL
        assert os.listdir(serving_dir) == ["facezoo"]
        assert os.listdir(serving_dir / "facezoo") == ["1"]
        assert pusher.publish(source, serving_dir, "facezoo") == 1
        assert self.labels(serving_dir) == {"stable": 1, "canary": 1}

    def test_a_config_that_is_none_stops_the_push(self, inputs, serving_dir, tmp_path):
        write_files(serving_dir, {"models.config": b"model_config_list: 3"})
        with pytest.raises(ComponentError, match="is no ModelServerConfig.*Mend it, or delete it"):
            run(inputs, serving_dir, tmp_path / "out")
        assert os.listdir(serving_dir) == ["models.config"]


class TestExternalFingerprint:
    """The runner compares what it was after the last run with what it is before this one."""

    def fingerprint(self, serving_dir):
        return make_pusher().external_fingerprint(Context(serving_dir))

    def test_unchanged_until_the_newest_version_is_touched(self, inputs, serving_dir, tmp_path):
        before = self.fingerprint(serving_dir)
        assert before == ""
        run(inputs, serving_dir, tmp_path / "one")
        after = self.fingerprint(serving_dir)
        assert after != before
        assert self.fingerprint(serving_dir) == after
        (serving_dir / "facezoo" / "1" / "saved_model.pb").write_bytes(b"damaged")
        assert self.fingerprint(serving_dir) != after
        shutil.rmtree(serving_dir)
        assert self.fingerprint(serving_dir) == before
        run(inputs, serving_dir, tmp_path / "other")
        assert self.fingerprint(serving_dir) == after

    def test_a_lost_config_changes_it_and_other_models_do_not(self, source, serving_dir):
        pusher.publish(source, serving_dir, "facezoo")
        after = self.fingerprint(serving_dir)
        other = make_pusher(model_name="other")
        assert other.external_fingerprint(Context(serving_dir)) == ""
        pusher.publish(source, serving_dir, "other")
        assert other.external_fingerprint(Context(serving_dir)) != ""
        assert self.fingerprint(serving_dir) == after
        (serving_dir / "models.config").unlink()
        assert self.fingerprint(serving_dir) != after

    def test_a_newer_version_changes_it_and_an_older_one_does_not(self, source, model_dir):
        write_files(model_dir / "1", {"saved_model.pb": b"old"})
        pusher.push(source, model_dir)
        after = self.fingerprint(model_dir.parent)
        shutil.rmtree(model_dir / "1")
        assert self.fingerprint(model_dir.parent) == after
        write_files(model_dir / "3", {"saved_model.pb": b"of others"})
        assert self.fingerprint(model_dir.parent) != after

    def test_a_version_that_cannot_be_read(self, source, serving_dir, monkeypatch):
        pusher.publish(source, serving_dir, "facezoo")

        def deny(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr(fingerprints, "file_digest", deny)
        with pytest.raises(ComponentError, match="Version 1 .* Permission denied"):
            self.fingerprint(serving_dir)


class Upstream(Component):
    """Makes all that Pusher takes."""

    @dataclass(frozen=True)
    class Params:
        """Nothing to set."""

    OUTPUTS = {"model_blessing": ModelBlessing, "infra_blessing": InfraBlessing}

    def run(self, inputs, outputs, context):
        write_files(outputs["infra_blessing"].uri / "stamped_model", FILES)
        outputs["model_blessing"].properties["blessed"] = 1
        outputs["infra_blessing"].properties["blessed"] = 1
        return {}


class TestInThePipeline:
    @pytest.fixture
    def run_again(self, tmp_path, serving_dir):
        """Runs the pipeline; returns whether Pusher was skipped."""

        def run_again():
            upstream = Upstream()
            steps = [upstream, Pusher(None, **upstream.outputs)]
            context = Context(serving_dir)
            results = run_pipeline(steps, tmp_path / "root", context, lambda result: None)
            return results["Pusher"].skipped

        return run_again

    def test_skipped_until_the_serving_folder_changes(self, run_again, serving_dir):
        assert not run_again()
        assert run_again()
        shutil.rmtree(serving_dir)
        assert not run_again()
        assert os.listdir(serving_dir / "facezoo") == ["1"]
        assert run_again()

    def test_killed_between_the_move_and_the_record(self, run_again, serving_dir, monkeypatch):
        commit = ExecutionStore.commit

        def commit_or_die(store, component, *arguments):
            return kill() if component.id == "Pusher" else commit(store, component, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(ExecutionStore, "commit", commit_or_die)
            assert in_another_process(run_again) == signal.SIGKILL
        assert os.listdir(serving_dir / "facezoo") == ["1"]
        assert not run_again()
        assert os.listdir(serving_dir / "facezoo") == ["1"]
        assert run_again()
