"""The runner: order, skipping, and the same artifacts after a kill at any moment."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines import executions, fingerprints
from pipelines.artifacts import Examples, Model, ModelBlessing
from pipelines.component import Component, ComponentError, Context, LatestBlessedModel
from pipelines.runner import run_pipeline, topological_order


@dataclass(frozen=True)
class Params:
    """What a fake component takes."""

    text: str = "a"


class Source(Component):
    """Writes its parameter."""

    OUTPUTS = {"examples": Examples}
    Params = Params

    def external_fingerprint(self, context):
        return str(context.serving_dir.exists())

    def run(self, inputs, outputs, context):
        (outputs["examples"].uri / "data").write_text(self.params.text)
        return {"records": 1}


class Shout(Component):
    """Writes its input in capitals, into two outputs."""

    INPUTS = {"examples": Examples}
    OUTPUTS = {"model": Model, "copy": Model}
    Params = Params

    def run(self, inputs, outputs, context):
        text = (inputs["examples"].uri / "data").read_text()
        for key in outputs:
            (outputs[key].uri / key).write_text(text.upper() + self.params.text)
        return {"letters": len(text)}


def pipeline(source="a", shout="!"):
    first = Source(Params(source))
    return [Shout(Params(shout), examples=first.outputs["examples"]), first]


@pytest.fixture(autouse=True)
def _frozen_code(monkeypatch):
    monkeypatch.setattr(fingerprints, "code_version", lambda: "one")


def run(root, components):
    reports = []
    context = Context(serving_dir=root / "serving")
    results = run_pipeline(components, root, context, reports.append)
    assert [report.component for report in reports] == list(results)
    return results


def skipped(results):
    return {name for name, result in results.items() if result.skipped}


def test_the_order_follows_the_channels():
    assert [one.id for one in topological_order(pipeline())] == ["Source", "Shout"]


def test_outputs_stand_in_tfx_layout_with_their_sidecar(tmp_path):
    run(tmp_path, pipeline())
    assert (tmp_path / "Shout/model/1/model").read_text() == "A!"
    sidecar = json.loads((tmp_path / "Source/examples/1/artifact.json").read_text())
    assert sidecar == {"type": "Examples", "properties": {}}


def test_a_second_run_does_nothing(tmp_path):
    first = run(tmp_path, pipeline())
    second = run(tmp_path, pipeline())
    assert skipped(first) == set() and skipped(second) == {"Source", "Shout"}
    assert second["Shout"].counts == {"letters": 1}


def test_a_changed_parameter_runs_that_step_and_what_depends_on_it(tmp_path):
    run(tmp_path, pipeline())
    assert skipped(run(tmp_path, pipeline(shout="?"))) == {"Source"}
    assert skipped(run(tmp_path, pipeline(source="b"))) == set()
    assert skipped(run(tmp_path, pipeline())) == {"Source", "Shout"}, "earlier results are kept"


def test_a_step_that_gives_the_same_bytes_does_not_wake_those_behind_it(tmp_path):
    run(tmp_path, pipeline())
    (tmp_path / "serving").mkdir()  # Source looks at it.
    assert skipped(run(tmp_path, pipeline())) == {"Shout"}


@pytest.mark.parametrize("damage", ["change", "delete", "add"])
def test_a_damaged_output_is_made_anew(tmp_path, damage):
    run(tmp_path, pipeline())
    path = tmp_path / "Shout/model/1/model"
    if damage == "change":
        path.write_text("B!")
    elif damage == "delete":
        path.unlink()
    else:
        path.with_name("more").touch()
    assert skipped(run(tmp_path, pipeline())) == {"Source"}


def test_touching_a_file_is_no_change(tmp_path):
    run(tmp_path, pipeline())
    os.utime(tmp_path / "Source/examples/1/data", (1, 1))
    assert skipped(run(tmp_path, pipeline())) == {"Source", "Shout"}


def test_changed_code_runs_everything_anew(tmp_path, monkeypatch):
    run(tmp_path, pipeline())
    monkeypatch.setattr(fingerprints, "code_version", lambda: "other")
    assert skipped(run(tmp_path, pipeline())) == set()


def test_a_failing_step_leaves_nothing_and_keeps_what_was_done(tmp_path, monkeypatch):
    def fail(self, inputs, outputs, context):
        (outputs["model"].uri / "half").touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Shout, "run", fail)
        with pytest.raises(ComponentError, match="Shout .*No space left"):
            run(tmp_path, pipeline())
    assert list((tmp_path / "Shout/model").iterdir()) == []
    assert skipped(run(tmp_path, pipeline())) == {"Source"}


def test_two_runs_at_once_are_refused(tmp_path, monkeypatch):
    def run_again(self, inputs, outputs, context):
        return run(tmp_path, pipeline())

    monkeypatch.setattr(Source, "run", run_again)
    with pytest.raises(ComponentError, match="Another run is at work"):
        run(tmp_path, pipeline())


def test_a_root_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ComponentError, match="--pipeline_root"):
        run(tmp_path / "file" / "root", pipeline())


def test_wrong_wiring_is_refused():
    with pytest.raises(TypeError, match="Missing: .*examples"):
        Shout()
    with pytest.raises(ValueError, match="Source"):
        topological_order(pipeline()[:1])


class Judge(Component):
    """Blesses what it is told to, and remembers the baseline it was given."""

    INPUTS = {"model": Model}
    OPTIONAL_INPUTS = {"baseline_model": Model}
    OUTPUTS = {"blessing": ModelBlessing}
    Params = Params

    def run(self, inputs, outputs, context):
        baseline = inputs["baseline_model"]
        outputs["blessing"].properties = {
            "blessed": int(self.params.text == "good"),
            "current_model": inputs["model"].fingerprint,
            "baseline": baseline and (baseline.uri / "model").read_text(),
        }
        return {}


def judged(shout, verdict):
    components = pipeline(shout=shout)
    model = components[0].outputs["model"]
    judge = Judge(Params(verdict), model=model, baseline_model=LatestBlessedModel(model))
    return [*components, judge]


def test_the_baseline_is_the_last_blessed_model_and_never_the_candidate(tmp_path):
    def baseline(shout, verdict):
        result = run(tmp_path, judged(shout, verdict))["Judge"]
        return result.outputs["blessing"].properties["baseline"], result.skipped

    assert baseline("1", "good") == (None, False)
    assert baseline("1", "good") == (None, True)
    assert baseline("2", "bad") == ("A1", False)
    assert baseline("3", "good") == ("A1", False), "the unblessed one is passed over"
    assert baseline("3", "good") == ("A1", True)
    assert baseline("4", "good") == ("A3", False)


def judged_twice(shout, verdict):
    """Two rounds: the second model is judged, the first is none of an earlier run."""
    components = pipeline(shout=shout)
    first = components[0].outputs["model"]
    second = Shout(Params(shout + "2"), examples=components[1].outputs["examples"])
    model = second.with_id("Shout.again").outputs["model"]
    baseline = LatestBlessedModel(model, besides=(first,))
    return [*components, second, Judge(Params(verdict), model=model, baseline_model=baseline)]


def test_two_of_one_class_live_under_their_own_ids(tmp_path):
    results = run(tmp_path, judged_twice("!", "good"))
    assert list(results) == ["Source", "Shout", "Shout.again", "Judge"]
    assert (tmp_path / "Shout.again/model/1/model").read_text() == "A!2"
    assert skipped(run(tmp_path, judged_twice("!", "good"))) == set(results)


def test_the_baseline_is_of_an_earlier_run_whichever_component_made_it(tmp_path):
    def baseline(components):
        return run(tmp_path, components)["Judge"].outputs["blessing"].properties["baseline"]

    assert baseline(judged("1", "good")) is None
    assert baseline(judged_twice("1", "good")) is None, "A1 is the first round of this run"
    assert baseline(judged_twice("3", "bad")) == "A12"
    assert baseline(judged("4", "good")) == "A12", "the second round's model was blessed"


KILLED_RUN = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, {folder!r})
    import test_runner
    from pipelines import executions, fingerprints

    fingerprints.code_version = lambda: "one"

    def kill(*_args):
        os.kill(os.getpid(), signal.SIGKILL)

    moment = sys.argv[2]
    if moment == "in run":
        test_runner.Shout.run = lambda self, inputs, outputs, context: (
            (outputs["model"].uri / "half").touch(), kill())
    elif moment == "before any rename":
        executions.os.replace = kill
    elif moment == "between renames":
        real, calls = os.replace, []
        def replace(*paths):
            calls.append(paths)
            kill() if "copy" in str(paths[0]) else real(*paths)
        executions.os.replace = replace
    elif moment == "before the record":
        executions.ExecutionStore._write_record = staticmethod(kill)
    test_runner.run(Path(sys.argv[1]), test_runner.pipeline())
"""


@pytest.mark.parametrize(
    "moment", ["in run", "before any rename", "between renames", "before the record"]
)
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path, moment):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    run(undisturbed, pipeline())
    script = textwrap.dedent(KILLED_RUN).format(folder=str(Path(__file__).parent))
    process = subprocess.run([sys.executable, "-c", script, str(killed), moment], check=False)
    assert process.returncode == -signal.SIGKILL
    run(killed, pipeline())

    def artifacts(root):
        return {
            path.relative_to(root).as_posix(): fingerprints.file_digest(path)
            for path in fingerprints.files_below(root)
            if executions._FOLDER not in path.parts
        }

    assert artifacts(killed) == artifacts(undisturbed)
