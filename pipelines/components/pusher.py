"""Pusher: puts a blessed model where the server looks, as a whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facezoo.serving import model_config
from pipelines import fingerprints
from pipelines.artifacts import Artifact, InfraBlessing, ModelBlessing, PushedModel
from pipelines.component import Component, ComponentError, Context, Counts

_STAMPED_MODEL = "stamped_model"
_SAVED_MODEL_FILE = "saved_model.pb"
# A server takes only integers for versions, so it does not see this.
_ASIDE: Final = ".pushing-"


@dataclass(frozen=True)
class Params:
    """Under which name the model is served; the serving folder is the context's.

    Args:
        model_name: A folder in the serving folder, and what clients ask for: a letter, followed by
            letters, digits, _ or -.

    Raises:
        ValueError: It is no such name.
    """

    model_name: str = model_config.MODEL_NAME

    def __post_init__(self) -> None:
        model_config.check_name(self.model_name)


def digest_folder(folder: Path) -> str:
    """Returns a digest of names and bytes of all files below a folder."""
    return fingerprints.content_fingerprint(fingerprints.folder_facts(folder))


def push(source: Path, model_dir: Path) -> int:
    """Makes a folder the newest version of a model, in one move.

    The version is the largest one there plus 1. If the newest version has the same content
    already, which is what a run leaves that was killed after the move, it stays the newest.

    Args:
        source: A SavedModel.
        model_dir: Holds the versions; made if it is not there. Whoever calls keeps others away.

    Returns:
        The version.

    Raises:
        OSError: It cannot be written; nothing half-written is left.
    """
    model_dir.mkdir(exist_ok=True)
    for leftover in model_dir.glob(f"{_ASIDE}*"):
        shutil.rmtree(leftover)
    version, newest = max(model_config.find_versions(model_dir).items(), default=(0, None))
    if newest is not None and digest_folder(newest) == digest_folder(source):
        return version
    aside = model_dir / f"{_ASIDE}{version + 1}"
    try:
        copy_durably(source, aside)
        os.rename(aside, model_dir / str(version + 1))
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _sync(model_dir)
    return version + 1


def publish(source: Path, serving_dir: Path, name: str) -> int:
    """Pushes a model, and lets the server's config know.

    Args:
        source: A SavedModel.
        serving_dir: Made if it is not there. Others who publish there are waited for.
        name: Of the model: a folder in it.

    Returns:
        The version.

    Raises:
        OSError: Something cannot be read or written.
        ValueError: The config that is there is none.
    """
    serving_dir.mkdir(parents=True, exist_ok=True)
    with _only_pusher(serving_dir):
        # A config that cannot be changed is found out before there is a version it lacks.
        model_config.read_config(serving_dir)
        version = push(source, serving_dir / name)
        # Last: the server must not be told of what is not there yet.
        model_config.update_config(serving_dir, name)
    return version


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


def why_not(model_blessing: Artifact, infra_blessing: Artifact) -> str | None:
    """Returns why a model must not be pushed; None if it may."""
    if not model_blessing.properties["blessed"]:
        return "Evaluator has not blessed the model."
    if not infra_blessing.properties["blessed"]:
        return f"InfraValidator has not blessed the model: {infra_blessing.properties['reason']}"
    return None


class Pusher(Component):
    """Pushes the model into `<serving_dir>/<model_name>/<version>/` if both blessings are given.

    Inputs:
        model_blessing: Evaluator's.
        infra_blessing: InfraValidator's; its `stamped_model/` is what is pushed, as it is.

    Outputs:
        pushed_model: A copy of what was pushed, with the properties `pushed` (1 or 0),
            `pushed_version`, `pushed_destination` (the folder within the serving folder), or
            `reason`. Empty if nothing was pushed.

    Params:
        model_name.

    Guarantees:
        A version appears as a whole: it is written under a hidden name, flushed to disk and moved.
        Then `<serving_dir>/models.config`, which TensorFlow Serving starts from, is replaced as a
        whole: the label `canary` is the newest version, `stable` the one before. What somebody
        else wrote there stays, and a model whose versions are chosen by number (a roll-back) keeps
        its labels. Versions count up from 1, where TFX takes the time: TensorFlow Serving wants
        integers, and a run that was killed and started again must end with the same one. What the
        newest version holds already is not pushed again. Two pushers wait for each other. Older
        versions stay.
    """

    INPUTS = {"model_blessing": ModelBlessing, "infra_blessing": InfraBlessing}
    OUTPUTS = {"pushed_model": PushedModel}
    Params = Params

    def external_fingerprint(self, context: Context) -> str:
        """Digest of the newest version and of the model's entry in the config; "" if there is none.

        The runner compares what it is before a run with what it was after the last one. So Pusher
        is skipped while the newest version is untouched, and runs if it was removed, changed or
        overtaken by another; what older versions are does not matter, nor what other models are.
        """
        name = self.params.model_name
        versions = model_config.find_versions(context.serving_dir / name)
        if not versions:
            return ""
        version, newest = max(versions.items())
        try:
            entry = model_config.find_entry(model_config.read_config(context.serving_dir), name)
            served = "" if entry is None else entry.SerializeToString(deterministic=True).hex()
            return f"{version}:{digest_folder(newest)}:{served}"
        except OSError as error:
            raise ComponentError(
                f"Version {version} in {newest.parent} cannot be read: {error.strerror}. "
                "Give this user the right to read it, or choose another --serving_dir."
            ) from error
        except ValueError as error:
            raise ComponentError(str(error)) from error

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        pushed_model, name = outputs["pushed_model"], self.params.model_name
        if reason := why_not(inputs["model_blessing"], inputs["infra_blessing"]):
            pushed_model.properties |= {"pushed": 0, "reason": reason}
            return {"pushed": 0, "reason": reason}
        stamped = inputs["infra_blessing"].uri / _STAMPED_MODEL
        shutil.copytree(stamped, pushed_model.uri, dirs_exist_ok=True)
        try:
            version = publish(stamped, context.serving_dir, name)
        except OSError as error:
            raise ComponentError(
                f"The model cannot be pushed to {context.serving_dir}: {error.strerror or error}. "
                "Nothing half-written can be seen there. Make room or give this user the right to "
                "write, or choose another --serving_dir, and run again."
            ) from error
        except ValueError as error:
            raise ComponentError(str(error)) from error
        place = {"pushed_version": str(version), "pushed_destination": f"{name}/{version}"}
        pushed_model.properties |= {"pushed": 1, **place}
        return {"pushed": 1, "version": version}
