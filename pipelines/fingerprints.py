"""Digests that tell whether a step's inputs, code or outputs have changed."""

import functools
import hashlib
import json
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

# What may change a step's result without a change in our own sources.
_LIBRARIES = (
    "apache-beam",
    "keras",
    "matplotlib",
    "numpy",
    "Pillow",
    "protobuf",
    "pyarrow",
    "PyYAML",
    "simplejpeg",
    "tensorflow",
    "tensorflow-datasets",
    "tensorflow-metadata",
)
_PACKAGES = ("facezoo", "pipelines", "model_cards")

FileFacts = dict[str, dict[str, Any]]


def digest(value: Any) -> str:
    """Returns the SHA-256 of plain data in its canonical JSON form."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_facts(folder: Path) -> FileFacts:
    """Returns size, time of change and digest of every file below a folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): {
            "size": path.stat().st_size,
            "mtime_ns": path.stat().st_mtime_ns,
            "sha256": file_digest(path),
        }
        for path in files_below(folder)
    }


def content_fingerprint(facts: FileFacts) -> str:
    """Returns one digest of a folder's contents: names and bytes, not times."""
    return digest({path: fact["sha256"] for path, fact in facts.items()})


def still_matches(folder: Path, facts: FileFacts) -> bool:
    """Whether a folder holds exactly the files of `facts`.

    A file of the same size and time of change is taken as unchanged; any other is read.
    """
    paths = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    return paths.keys() == facts.keys() and all(
        _unchanged(path, facts[name]) for name, path in paths.items()
    )


def _unchanged(path: Path, fact: dict[str, Any]) -> bool:
    found = path.stat()
    if found.st_size != fact["size"]:
        return False
    return found.st_mtime_ns == fact["mtime_ns"] or file_digest(path) == fact["sha256"]


def files_below(folder: Path) -> Iterable[Path]:
    """Yields every file below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@functools.cache
def code_version() -> str:
    """Returns a digest of this project's sources and of the libraries that decide its results."""
    top = Path(__file__).parent.parent
    sources = {
        path.relative_to(top).as_posix(): file_digest(path)
        for package in _PACKAGES
        for path in files_below(top / package)
        if path.suffix in (".py", ".json", ".md")
    }
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    return digest({"sources": sources, "versions": versions})[:16]
