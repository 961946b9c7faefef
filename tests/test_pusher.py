"""Pusher: only blessed models, only whole versions, each content once."""

import errno
import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines import fingerprints
from pipelines.artifacts import InfraBlessing, Model, ModelBlessing, ModelEvaluation, PushedModel
from pipelines.component import Channel, Component, ComponentError, Context
from pipelines.components import pusher
from pipelines.components.pusher import Pusher
from pipelines.executions import ExecutionStore
from pipelines.runner import run_pipeline

PRESET = {
    "name": "tiny",
    "backbone": {"name": "mobilefacenet", "overrides": {}},
    "embedding_dim": 4,
    "embedding_pooling": "depthwise",
    "head": None,
    "preprocessing": {"height": 16, "width": 18},
    "weights": "model.keras",
    "thresholds": None,
    "card": None,
}
THRESHOLDS = {"distance": "squared_l2", "default": "accuracy", "operating_points": []}
FILES = {
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
def inputs(tmp_path, source):
    model = write_files(tmp_path / "model", {"preset.json": json.dumps(PRESET).encode()})
    thresholds = {"thresholds.json": json.dumps(THRESHOLDS).encode()}
    evaluation = write_files(tmp_path / "evaluation", thresholds)
    (tmp_path / "infra").mkdir()
    shutil.copytree(source, tmp_path / "infra" / "stamped_model")
    return {
        "model": Model(model),
        "model_blessing": ModelBlessing(tmp_path / "blessing", {"blessed": 1}),
        "infra_blessing": InfraBlessing(tmp_path / "infra", {"blessed": 1, "has_model": 1}),
        "evaluation": ModelEvaluation(evaluation),
    }


def make_pusher():
    return Pusher(None, **{key: Channel(None, key) for key in Pusher.INPUTS})


def run(inputs, serving_dir, folder):
    folder.mkdir()
    pushed_model = PushedModel(folder)
    counts = make_pusher().run(inputs, {"pushed_model": pushed_model}, Context(serving_dir))
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
    def test_a_blessed_model_is_pushed_with_its_thresholds(self, inputs, serving_dir, tmp_path):
        before = {key: content(artifact.uri) for key, artifact in inputs.items()}
        pushed_model, counts = run(inputs, serving_dir, tmp_path / "out")
        assert counts == {"pushed": 1, "version": 1}
        properties = {"pushed": 1, "pushed_version": "1", "pushed_destination": "1"}
        assert pushed_model.properties == properties
        files = content(serving_dir / "1")
        preset = json.loads(files.pop("assets.extra/preset.json"))
        assert files == FILES
        expected = {**PRESET, "thresholds": THRESHOLDS, "embedding_batch_norm": None}
        expected |= {"embedding_options": None, "auxiliary_loss": None}
        assert preset == expected
        assert content(pushed_model.uri) == content(serving_dir / "1")
        assert {key: content(artifact.uri) for key, artifact in inputs.items()} == before

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
        assert os.listdir(serving_dir) == ["1"]

    def test_other_thresholds_are_another_version(self, inputs, serving_dir, tmp_path):
        run(inputs, serving_dir, tmp_path / "one")
        (inputs["evaluation"].uri / "thresholds.json").write_text("{}")
        pushed_model, _ = run(inputs, serving_dir, tmp_path / "other")
        assert pushed_model.properties["pushed_version"] == "2"
        assert sorted(os.listdir(serving_dir)) == ["1", "2"]

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
        assert os.listdir(serving_dir) == []


class TestVersions:
    @pytest.mark.parametrize(
        ("names", "version"),
        [([], 1), (["2", "10"], 11), (["007"], 8), (["1700000000"], 1700000001)],
    )
    def test_one_more_than_the_largest(self, source, serving_dir, names, version):
        for name in [*names, "latest", "-3", "1.5", ".pushing-x"]:
            (serving_dir / name).mkdir(parents=True)
        assert pusher.push(source, serving_dir) == version
        assert content(serving_dir / str(version)) == FILES

    def test_only_the_newest_is_compared(self, source, serving_dir, tmp_path):
        """Pushing an old model again makes it the newest: that is a roll-back."""
        pusher.push(source, serving_dir)
        other = write_files(tmp_path / "other", {"saved_model.pb": b"other"})
        assert pusher.push(other, serving_dir) == 2
        assert pusher.push(source, serving_dir) == 3
        assert content(serving_dir / "3") == FILES

    def test_the_graph_is_copied_last(self, source, serving_dir, monkeypatch):
        copied = []
        copyfile = shutil.copyfile

        def record(one, other):
            copied.append(one.name)
            return copyfile(one, other)

        monkeypatch.setattr(pusher.shutil, "copyfile", record)
        pusher.push(source, serving_dir)
        assert len(copied) == 4
        assert copied[-1] == "saved_model.pb"


class TestKilled:
    @pytest.mark.parametrize("step", ["first copy", "last copy", "folder sync", "move"])
    def test_before_the_move(self, source, serving_dir, monkeypatch, step):
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
            ended = in_another_process(lambda: pusher.push(source, serving_dir))
        assert ended == signal.SIGKILL
        assert pusher.find_versions(serving_dir) == {}
        assert os.listdir(serving_dir) != []
        assert pusher.push(source, serving_dir) == 1
        assert os.listdir(serving_dir) == ["1"]
        assert content(serving_dir / "1") == FILES

    def test_after_the_move_there_is_no_second_version(self, source, serving_dir, monkeypatch):
        rename = os.rename

        def rename_and_die(one, other):
            rename(one, other)
            kill()

        with monkeypatch.context() as patch:
            patch.setattr(pusher.os, "rename", rename_and_die)
            ended = in_another_process(lambda: pusher.push(source, serving_dir))
        assert ended == signal.SIGKILL
        assert content(serving_dir / "1") == FILES
        assert pusher.push(source, serving_dir) == 1
        assert os.listdir(serving_dir) == ["1"]

    def test_two_pushers_at_once_do_not_lose_a_version(self, serving_dir, tmp_path):
        sources = [
            write_files(tmp_path / f"source{n}", {**FILES, "saved_model.pb": bytes([n])})
            for n in range(4)
        ]
        children = []
        for source in sources:
            if (child := os.fork()) == 0:
                pusher.push(source, serving_dir)
                os._exit(0)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
        pushed = {content(serving_dir / str(n))["saved_model.pb"] for n in range(1, 5)}
        assert pushed == {bytes([n]) for n in range(4)}
        assert sorted(os.listdir(serving_dir)) == ["1", "2", "3", "4"]


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
        (serving_dir / "1" / "saved_model.pb").write_bytes(b"damaged")
        assert self.fingerprint(serving_dir) != after
        shutil.rmtree(serving_dir)
        assert self.fingerprint(serving_dir) == before
        run(inputs, serving_dir, tmp_path / "other")
        assert self.fingerprint(serving_dir) == after

    def test_a_newer_version_changes_it_and_an_older_one_does_not(self, source, serving_dir):
        write_files(serving_dir / "1", {"saved_model.pb": b"old"})
        pusher.push(source, serving_dir)
        after = self.fingerprint(serving_dir)
        shutil.rmtree(serving_dir / "1")
        assert self.fingerprint(serving_dir) == after
        write_files(serving_dir / "3", {"saved_model.pb": b"of others"})
        assert self.fingerprint(serving_dir) != after

    def test_a_version_that_cannot_be_read(self, source, serving_dir, monkeypatch):
        pusher.push(source, serving_dir)

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

    OUTPUTS = {
        "model": Model,
        "model_blessing": ModelBlessing,
        "infra_blessing": InfraBlessing,
        "evaluation": ModelEvaluation,
    }

    def run(self, inputs, outputs, context):
        write_files(outputs["model"].uri, {"preset.json": json.dumps(PRESET).encode()})
        write_files(outputs["evaluation"].uri, {"thresholds.json": b"{}"})
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
        assert os.listdir(serving_dir) == ["1"]
        assert run_again()

    def test_killed_between_the_move_and_the_record(self, run_again, serving_dir, monkeypatch):
        commit = ExecutionStore.commit

        def commit_or_die(store, component, *arguments):
            return kill() if component.id == "Pusher" else commit(store, component, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(ExecutionStore, "commit", commit_or_die)
            assert in_another_process(run_again) == signal.SIGKILL
        assert os.listdir(serving_dir) == ["1"]
        assert not run_again()
        assert os.listdir(serving_dir) == ["1"]
        assert run_again()
