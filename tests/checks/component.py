"""What every component must do, whatever its work: leave all but its outputs as it was."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pipelines.artifacts import Artifact
from pipelines.component import Channel, Component, Context

Inputs = Mapping[str, Artifact | None]


def channels(component_class: type[Component]) -> dict[str, Channel]:
    """Stand-ins for the inputs, to construct a component that is run by hand."""
    return {key: Channel(None, key) for key in component_class.INPUTS}


def run(
    component: Component, inputs: Inputs, folder: Path, beam_args: list[str] | None = None
) -> tuple[dict[str, Artifact], dict]:
    """Runs a component into new folders; returns its outputs and counts."""
    outputs = {key: kind(folder / key) for key, kind in component.OUTPUTS.items()}
    for output in outputs.values():
        output.uri.mkdir(parents=True)
    context = Context(serving_dir=folder / "serving")
    if beam_args is not None:
        context.beam_args = beam_args
    return outputs, dict(component.run(inputs, outputs, context))


def files(folder: Path) -> dict[str, bytes]:
    """Returns the contents of every file below a folder by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def check_declared_outputs_are_filled(component: Component, inputs: Inputs, folder: Path):
    outputs, counts = run(component, inputs, folder / "run")
    assert counts
    for key, output in outputs.items():
        assert type(output) is component.OUTPUTS[key]
        assert files(output.uri), f"{key} is empty"


def check_same_inputs_give_same_bytes(component: Component, inputs: Inputs, folder: Path):
    first, first_counts = run(component, inputs, folder / "first")
    second, second_counts = run(component, inputs, folder / "second")
    assert first_counts == second_counts
    for key, output in first.items():
        assert files(output.uri) == files(second[key].uri)
        assert output.properties == second[key].properties


def check_inputs_unchanged(component: Component, inputs: Inputs, folder: Path):
    given = [artifact for artifact in inputs.values() if artifact is not None]
    before = [(files(artifact.uri), dict(artifact.properties)) for artifact in given]
    run(component, inputs, folder / "run")
    assert [(files(artifact.uri), artifact.properties) for artifact in given] == before


def check_writes_only_under_outputs(component: Component, inputs: Inputs, folder: Path):
    with _elsewhere(folder / "cwd", folder / "tmp"):
        outputs, _ = run(component, inputs, folder / "run")
    written = {path for path in folder.rglob("*") if path.is_file()}
    allowed = {path for one in outputs.values() for path in one.uri.rglob("*")}
    assert not written - allowed
    assert not [path for path in written if path.suffix == ".partial"]


def check_outputs_name_no_machine(component: Component, inputs: Inputs, folder: Path):
    outputs, _ = run(component, inputs, folder / "run")
    for output in outputs.values():
        for name, content in files(output.uri).items():
            assert str(folder).encode() not in content, f"{name} holds an absolute path"


ALL = [check for name, check in list(globals().items()) if name.startswith("check_")]
each = pytest.mark.parametrize("check", ALL, ids=lambda check: check.__name__[len("check_") :])


@contextlib.contextmanager
def _elsewhere(working_dir: Path, temporary_dir: Path) -> Iterator[None]:
    """Lets relative paths and temporary files land where they are seen."""
    working_dir.mkdir(parents=True)
    temporary_dir.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(temporary_dir)
    try:
        with contextlib.chdir(working_dir):
            yield
    finally:
        tempfile.tempdir = before
