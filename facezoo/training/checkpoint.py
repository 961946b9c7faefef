"""Training checkpoints: everything that a killed training needs to end with the same weights."""

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from absl import logging

_VERSION = 1
_CONTENT = "content"
_KEPT = 2

Variables = Mapping[str, Sequence[keras.Variable]]


class Checkpoint(NamedTuple):
    """What a file holds.

    Args:
        path: The file.
        content: JSON-able state of whoever saved it.
        values: By group of variables, their values in order.
        variables: By group, a line of text about each variable.
    """

    path: Path
    content: dict[str, Any]
    values: dict[str, list[np.ndarray]]
    variables: dict[str, list[str]]

    def restore(self, variables: Variables) -> None:
        """Assigns the values.

        Args:
            variables: The groups that were saved, or some of them.

        Raises:
            ValueError: The variables are others than those that were saved.
        """
        for group, members in variables.items():
            saved, present = self.variables.get(group, []), [_describe(one) for one in members]
            if saved != present:
                raise ValueError(self._other_model(group, saved, present))
        for group, members in variables.items():
            for variable, value in zip(members, self.values[group], strict=True):
                variable.assign(value)

    def _other_model(self, group: str, saved: list[str], present: list[str]) -> str:
        pairs = zip(saved, present, strict=False)
        first = next((pair for pair in pairs if pair[0] != pair[1]), None)
        expected = f"{len(saved)} variables" if first is None else first[0]
        received = f"{len(present)} variables" if first is None else first[1]
        return (
            f"The checkpoint {self.path} is of another training: its {group} does not fit. "
            f"Expected: {expected}. Received: {received}. "
            "Train with the settings that wrote it, or delete the folder to start anew."
        )


class Snapshot(NamedTuple):
    """The variables at one moment: by group, their values and a line of text about each.

    Several machines must take it together: metrics are summed over them when they are read.
    """

    values: dict[str, list[np.ndarray]]
    variables: dict[str, list[str]]

    @classmethod
    def take(cls, variables: Variables) -> "Snapshot":
        """Copies the variables."""
        values = {group: [_value(one) for one in members] for group, members in variables.items()}
        lines = {group: [_describe(one) for one in members] for group, members in variables.items()}
        return cls(values, lines)


def save_checkpoint(
    folder: Path, name: str, snapshot: Snapshot, content: Mapping[str, Any]
) -> Path:
    """Writes a checkpoint, whole or not at all, and removes all but the newest two.

    Args:
        folder: Made if it is not there.
        name: Of the file; names in alphabetical order are in the order of time.
        snapshot: Of the variables.
        content: JSON-able; floats come back to the bit.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npz"
    text = json.dumps({"version": _VERSION, "variables": snapshot.variables, "content": content})
    arrays = {
        f"{group}/{index}": value
        for group, values in snapshot.values.items()
        for index, value in enumerate(values)
    }
    aside = path.with_suffix(".partial")
    with open(aside, "wb") as file:
        np.savez(file, **{_CONTENT: np.array(text)}, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    for old in _paths(folder)[:-_KEPT]:
        old.unlink()
    return path


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """Returns the newest checkpoint that can be read, or None where there is none.

    Raises:
        ValueError: There are checkpoints, but all are damaged or of another version.
    """
    problems = []
    for path in reversed(_paths(folder)):
        try:
            return _read(path)
        except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
            problems.append(f"{path}: {error}")
            logging.warning("A checkpoint cannot be read and is passed over: %s", problems[-1])
    if problems:
        raise ValueError(
            f"No checkpoint of {folder} can be read ({'; '.join(problems)}). "
            "Delete the folder to start anew."
        )
    return None


def _read(path: Path) -> Checkpoint:
    # Every member is read, and with it its checksum.
    with np.load(path, allow_pickle=False) as file:
        stored = json.loads(str(file[_CONTENT]))
        if stored["version"] != _VERSION:
            raise ValueError(f"version {stored['version']}, expected {_VERSION}")
        values = {
            group: [file[f"{group}/{index}"] for index in range(len(members))]
            for group, members in stored["variables"].items()
        }
    return Checkpoint(path, stored["content"], values, stored["variables"])


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.npz"))


def _describe(variable: keras.Variable) -> str:
    # The last name only: what stands before it counts the models made in this process.
    return f"{variable.name} {variable.dtype} {tuple(variable.shape)}"


def _value(variable: keras.Variable) -> np.ndarray:
    value = keras.ops.convert_to_numpy(variable)
    # NumPy's files know no bfloat16; float32 holds it exactly.
    return value.astype(np.float32) if value.dtype.kind == "V" else value
