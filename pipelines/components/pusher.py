"""Pusher: puts a blessed model where the server looks, as a whole or not at all."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facezoo import presets
from pipelines import fingerprints
from pipelines.artifacts import (
    Artifact,
    InfraBlessing,
    Model,
    ModelBlessing,
    ModelEvaluation,
    PushedModel,
)
from pipelines.component import Component, ComponentError, Context, Counts

_STAMPED_MODEL = "stamped_model"
_THRESHOLDS_FILE = "thresholds.json"
_EXTRA_DIR = "assets.extra"
_SAVED_MODEL_FILE = "saved_model.pb"
# A server takes only integers for versions, so it does not see this.
_ASIDE: Final = ".pushing-"


@dataclass(frozen=True)
class Params:
    """Pusher has nothing to set; the serving folder is the context's."""


def find_versions(serving_dir: Path) -> dict[int, Path]:
    """Returns the versions in a serving folder, smallest first; {} where there is no folder."""
    if not serving_dir.is_dir():
        return {}
    paths = [path for path in serving_dir.iterdir() if path.name.isascii() and path.name.isdigit()]
    return dict(sorted((int(path.name), path) for path in paths))


def digest_folder(folder: Path) -> str:
    """Returns a digest of names and bytes of all files below a folder."""
    return fingerprints.content_fingerprint(fingerprints.folder_facts(folder))


def push(source: Path, serving_dir: Path) -> int:
    """Makes a folder the newest version, in one move.

    The version is the largest one there plus 1. If the newest version has the same content
    already, which is what a run leaves that was killed after the move, it stays the newest.

    Args:
        source: A SavedModel.
        serving_dir: Made if it is not there.

    Returns:
        The version.

    Raises:
        OSError: It cannot be written; nothing half-written is left.
    """
    serving_dir.mkdir(parents=True, exist_ok=True)
    with _only_pusher(serving_dir):
        for leftover in serving_dir.glob(f"{_ASIDE}*"):
            shutil.rmtree(leftover)
        version, newest = max(find_versions(serving_dir).items(), default=(0, None))
        if newest is not None and digest_folder(newest) == digest_folder(source):
            return version
        aside = serving_dir / f"{_ASIDE}{version + 1}"
        try:
            copy_durably(source, aside)
            os.rename(aside, serving_dir / str(version + 1))
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _sync(serving_dir)
    return version + 1


@contextmanager
def _only_pusher(serving_dir: Path) -> Iterator[None]:
    folder = os.open(serving_dir, os.O_RDONLY)
    try:
        # The kernel drops the lock when the process dies, however it dies.
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def copy_durably(source: Path, target: Path) -> None:
    """Copies a SavedModel to disk, past the caches; saved_model.pb, which makes it one, last."""
    target.mkdir()
    paths = sorted(source.rglob("*"), key=lambda path: (path.name == _SAVED_MODEL_FILE, path))
    for path in paths:
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir()
        else:
            shutil.copyfile(path, copy)
            _sync(copy)
    for folder in [*(path for path in target.rglob("*") if path.is_dir()), target]:
        _sync(folder)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def assemble(stamped_model: Path, model: Path, evaluation: Path, target: Path) -> None:
    """Makes what is pushed: the stamped SavedModel, and its preset with the thresholds."""
    shutil.copytree(stamped_model, target, dirs_exist_ok=True)
    preset = json.loads((model / presets.PRESET_FILE).read_text(encoding="utf-8"))
    preset["thresholds"] = json.loads((evaluation / _THRESHOLDS_FILE).read_text(encoding="utf-8"))
    (target / _EXTRA_DIR).mkdir(exist_ok=True)
    presets.save(target / _EXTRA_DIR, preset)


def why_not(model_blessing: Artifact, infra_blessing: Artifact) -> str | None:
    """Returns why a model must not be pushed; None if it may."""
    if not model_blessing.properties["blessed"]:
        return "Evaluator has not blessed the model."
    if not infra_blessing.properties["blessed"]:
        return f"InfraValidator has not blessed the model: {infra_blessing.properties['reason']}"
    return None


class Pusher(Component):
    """Pushes the model into `<serving_dir>/<version>/` if both blessings are given.

    Inputs:
        model: Its `preset.json` goes along.
        model_blessing: Evaluator's.
        infra_blessing: InfraValidator's; its `stamped_model/` is what is pushed.
        evaluation: Its `thresholds.json` is put into the preset.

    Outputs:
        pushed_model: A copy of what was pushed, in `assets.extra/preset.json` the preset; with the
            properties `pushed` (1 or 0), `pushed_version`, `pushed_destination` (the folder's
            name in the serving folder), or `reason`. Empty if nothing was pushed.

    Guarantees:
        A version appears as a whole: it is written under a hidden name, flushed to disk and moved.
        Versions count up from 1, where TFX takes the time: TensorFlow Serving wants integers, and a
        run that was killed and started again must end with the same one. What the newest version
        holds already is not pushed again. Two pushers wait for each other. Older versions stay.
    """

    INPUTS = {
        "model": Model,
        "model_blessing": ModelBlessing,
        "infra_blessing": InfraBlessing,
        "evaluation": ModelEvaluation,
    }
    OUTPUTS = {"pushed_model": PushedModel}
    Params = Params

    def external_fingerprint(self, context: Context) -> str:
        """Digest of the newest version in the serving folder; "" if there is none.

        The runner compares what it is before a run with what it was after the last one. So Pusher
        is skipped while the newest version is untouched, and runs if it was removed, changed or
        overtaken by another; what older versions are does not matter.
        """
        versions = find_versions(context.serving_dir)
        if not versions:
            return ""
        version, newest = max(versions.items())
        try:
            return f"{version}:{digest_folder(newest)}"
        except OSError as error:
            raise ComponentError(
                f"Version {version} in {context.serving_dir} cannot be read: {error.strerror}. "
                "Give this user the right to read it, or choose another --serving_dir."
            ) from error

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        pushed_model = outputs["pushed_model"]
        if reason := why_not(inputs["model_blessing"], inputs["infra_blessing"]):
            pushed_model.properties |= {"pushed": 0, "reason": reason}
            return {"pushed": 0, "reason": reason}
        stamped = inputs["infra_blessing"].uri / _STAMPED_MODEL
        assemble(stamped, inputs["model"].uri, inputs["evaluation"].uri, pushed_model.uri)
        try:
            version = push(pushed_model.uri, context.serving_dir)
        except OSError as error:
            raise ComponentError(
                f"The model cannot be pushed to {context.serving_dir}: {error.strerror or error}. "
                "Nothing half-written can be seen there. Make room or give this user the right to "
                "write, or choose another --serving_dir, and run again."
            ) from error
        destination = {"pushed_version": str(version), "pushed_destination": str(version)}
        pushed_model.properties |= {"pushed": 1, **destination}
        return {"pushed": 1, "version": version}
