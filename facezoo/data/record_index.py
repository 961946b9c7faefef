"""Where every record lies and whose face it holds: random access to TFRecord shards."""

import functools
import itertools
import json
import os
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facezoo.data import index_writer
from facezoo.data.examples import parse_example
from facezoo.data.identity_groups import IdentityGroups
from facezoo.data.records import read_record_at
from facezoo.data.schema import FaceRecord

# Below the 256 open files that some systems allow a process.
_MAX_OPEN_SHARDS = 128


class UnfitIndex(ValueError):
    """A folder holds no index, or not that of these shards."""


class RecordIndex:
    """Reads any record of a split by its number, from columns that stay on disk.

    Columns are memory-mapped: what is not looked at is not loaded. Any number of threads may read.

    Args:
        folder: What `build` wrote.
        paths: The shards, in the order in which they were indexed.

    Attributes:
        num_images: N.
        label: int32 [N], memory-mapped.
        groups: The images of every identity, memory-mapped.
        datasets: Names of the data sets.
        image_size: (height, width) of all images, or None where they differ.

    Raises:
        UnfitIndex: The folder holds no whole index of these shards.
    """

    def __init__(self, folder: Path, paths: Sequence[Path]) -> None:
        self._folder, self._paths = Path(folder), [Path(path) for path in paths]
        properties = self._properties()
        self.num_images: int = properties["num_images"]
        self.datasets: list[str] = properties["datasets"]
        size = properties["image_size"]
        self.image_size: tuple[int, int] | None = tuple(size) if size else None
        columns = {name: self._column(name) for name in index_writer.COLUMNS}
        self.label = columns["label"]
        self._offset, self._length = columns["offset"], columns["length"]
        self._shard = columns["shard"]
        self.groups = IdentityGroups(*(self._column(name) for name in index_writer.GROUPS))
        self._check_lengths(columns)
        # A shard is closed when it leaves the cache and the last thread has read from it.
        self._open = functools.lru_cache(_MAX_OPEN_SHARDS)(_Descriptor)

    @classmethod
    def open(cls, folder: Path, paths: Sequence[Path]) -> "RecordIndex":
        """Opens the index that `build` wrote.

        Raises:
            UnfitIndex: The folder holds no whole index of these shards.
        """
        return cls(folder, paths)

    @classmethod
    def build(cls, paths: Sequence[Path], folder: Path) -> "RecordIndex":
        """Indexes shards; the folder appears, or is replaced, when all is written.

        Args:
            paths: TFRecord files with the keys of `facezoo.data.schema`.
            folder: Of the index; beside the shards' folder, not in it, where readers of TFRecords
                would take it for data.

        Raises:
            ValueError: A file is damaged, a record does not fit the schema, or the folder exists
                and holds something else.
        """
        folder, paths = Path(folder), [Path(path) for path in paths]
        if folder.exists() and not (folder / index_writer.PROPERTIES_FILE).exists():
            raise ValueError(
                f"{folder} must be a new folder, or hold an index, which is replaced. It exists "
                f"and has no {index_writer.PROPERTIES_FILE}. Remove it, or choose another one."
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(".partial", f"{folder.name}.", folder.parent) as aside:
            made = Path(aside, "new")
            made.mkdir()
            index_writer.write_index(paths, made)
            if folder.exists():
                os.rename(folder, Path(aside, "old"))
            os.rename(made, folder)
        return cls(folder, paths)

    @classmethod
    def open_or_build(cls, paths: Sequence[Path], folder: Path) -> "RecordIndex":
        """Opens the index in a folder if it is that of these shards, or makes it anew."""
        try:
            return cls(folder, paths)
        except UnfitIndex:
            return cls.build(paths, folder)

    def select(self, dataset: str) -> "RecordIndex":
        """Returns the index of one data set's images, which are numbered anew.

        Raises:
            ValueError: There is no such data set.
        """
        if dataset not in self.datasets:
            raise ValueError(
                f"There is no data set of that name. Expected one of: {', '.join(self.datasets)}. "
                f"Received: {dataset!r}."
            )
        if len(self.datasets) == 1:
            return self
        number = self.datasets.index(dataset)
        return RecordIndex(index_writer.dataset_folder(self._folder, number), self._paths)

    def read(self, position: int) -> FaceRecord:
        """Returns a record, checked against its checksums.

        Raises:
            ValueError: The record is damaged, or the shard is another than at the time of `build`.
        """
        path = self._path(position)
        # Held in a variable: another thread may push it out of the cache meanwhile.
        file = self._open(path)
        offset, length = int(self._offset[position]), int(self._length[position])
        return parse_example(read_record_at(file.number, path, offset, length))

    def place(self, position: int) -> str:
        """Says where a record lies, for messages."""
        return f"byte {self._offset[position]} of {self._path(position)}"

    def _path(self, position: int) -> Path:
        return self._paths[self._shard[position]]

    def _properties(self) -> dict[str, Any]:
        file = self._folder / index_writer.PROPERTIES_FILE
        try:
            properties = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._unfit(f"{file.name} cannot be read ({error})") from error
        version = properties.get("version") if isinstance(properties, dict) else None
        if version != index_writer.VERSION:
            raise self._unfit(f"its version is {version}, expected {index_writer.VERSION}")
        if missing := sorted(index_writer.PROPERTIES - properties.keys()):
            raise self._unfit(f"{file.name} lacks {', '.join(missing)}")
        found = [[path.name, path.stat().st_size] for path in self._paths]
        for indexed, shard in itertools.zip_longest(properties["shards"], found):
            if indexed != shard:
                raise self._unfit(f"it was made of the shard {indexed}, received {shard}")
        return properties

    def _column(self, name: str) -> np.ndarray:
        file = self._folder / f"{name}.npy"
        try:
            return np.load(file, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise self._unfit(f"{file.name} cannot be read ({error})") from error

    def _check_lengths(self, columns: dict[str, np.ndarray]) -> None:
        groups = self.groups
        lengths = {name: (len(column), self.num_images) for name, column in columns.items()}
        lengths["order"] = (len(groups.order), self.num_images)
        lengths["starts"] = (len(groups.starts), len(groups.identities) + 1)
        for name, (found, expected) in lengths.items():
            if found != expected:
                raise self._unfit(f"{name}.npy has {found} rows, expected {expected}")

    def _unfit(self, what: str) -> UnfitIndex:
        return UnfitIndex(
            f"{self._folder} is not the index of these shards: {what}. "
            "Make it anew with RecordIndex.build(paths, folder)."
        )


class _Descriptor:
    """An open file, closed when nobody holds it any more."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.number)
