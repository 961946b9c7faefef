"""Execution records: what ran, on what, with what result; the memory that makes runs resumable."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import fingerprints
from pipelines.artifacts import SIDECAR, Artifact
from pipelines.component import Component

_FOLDER = ".executions"
_PARTIAL = ".partial"
_WORK = ".work"


@dataclass(frozen=True)
class Execution:
    """One finished run of a component, as its JSON record tells it."""

    number: int
    content: Mapping[str, Any]

    def output(self, root: Path, key: str, artifact_type: type[Artifact]) -> Artifact:
        """Returns an output as an artifact."""
        entry = self.content["outputs"][key]
        uri = root / entry["path"]
        return artifact_type(uri, dict(entry["properties"]), entry["fingerprint"])


class ExecutionStore:
    """Records and output folders under one pipeline root.

    Outputs are written aside and renamed; the record is written last and is the commit. A folder
    without a record is what a killed run left, and is removed before its component runs again.

    Args:
        root: The pipeline root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def components(self) -> list[str]:
        """Returns the ids of all components that have finished executions, sorted."""
        return sorted(path.name for path in (self.root / _FOLDER).glob("*") if path.is_dir())

    def executions(self, component: str) -> list[Execution]:
        """Returns a component's finished executions, oldest first."""
        paths = (self.root / _FOLDER / component).glob("[0-9]*.json")
        found = [
            Execution(int(path.stem), json.loads(path.read_text(encoding="utf-8")))
            for path in paths
        ]
        return sorted(found, key=lambda execution: execution.number)

    def find(self, component: str, fingerprint: str) -> Execution | None:
        """Returns the newest execution with this fingerprint whose outputs are as it left them."""
        for execution in reversed(self.executions(component)):
            if execution.content["fingerprint"] == fingerprint and self._is_whole(execution):
                return execution
        return None

    def begin(self, component: Component) -> tuple[int, dict[str, Artifact]]:
        """Clears what a killed run left and makes empty folders for the outputs, aside."""
        done = {execution.number for execution in self.executions(component.id)}
        number = max(done, default=0) + 1
        outputs = {}
        for key, artifact_type in component.OUTPUTS.items():
            folder = self.root / component.id / key
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in self._without_record(folder, done):
                shutil.rmtree(leftover)
            uri = folder / f"{number}{_PARTIAL}"
            uri.mkdir()
            outputs[key] = artifact_type(uri)
        return number, outputs

    def work_dir(self, component: Component, fingerprint: str) -> Path:
        """Returns where an execution keeps what it needs to go on, and removes that of others."""
        folder = self.root / component.id / _WORK
        for other in folder.glob("*"):
            if other.name != fingerprint:
                shutil.rmtree(other)
        return folder / fingerprint

    def commit(
        self, component: Component, number: int, outputs: Mapping[str, Artifact], content: dict
    ) -> Execution:
        """Puts the outputs into place, then writes the record."""
        content["outputs"] = {}
        for key, artifact in outputs.items():
            artifact.write_sidecar()
            uri = artifact.uri.with_name(str(number))
            os.replace(artifact.uri, uri)
            facts = fingerprints.folder_facts(uri)
            artifact.uri, artifact.fingerprint = uri, fingerprints.content_fingerprint(facts)
            content["outputs"][key] = {
                "path": uri.relative_to(self.root).as_posix(),
                "type": artifact.TYPE,
                "properties": artifact.properties,
                "fingerprint": artifact.fingerprint,
                "files": facts,
            }
        self._write_record(self.root / _FOLDER / component.id / f"{number}.json", content)
        return Execution(number, content)

    def abandon(self, outputs: Mapping[str, Artifact]) -> None:
        """Removes the folders of a run that failed."""
        for artifact in outputs.values():
            shutil.rmtree(artifact.uri, ignore_errors=True)

    def _is_whole(self, execution: Execution) -> bool:
        return all(
            (self.root / entry["path"] / SIDECAR).is_file()
            and fingerprints.still_matches(self.root / entry["path"], entry["files"])
            for entry in execution.content["outputs"].values()
        )

    @staticmethod
    def _without_record(folder: Path, done: set[int]) -> Iterator[Path]:
        recorded = {str(number) for number in done}
        return (path for path in sorted(folder.iterdir()) if path.name not in recorded)

    @staticmethod
    def _write_record(path: Path, content: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".tmp")
        with open(aside, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
