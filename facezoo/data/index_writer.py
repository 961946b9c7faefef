"""Writes the index of TFRecord shards: flat columns on disk, in memory no more than one shard's."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib.format import open_memmap

from facezoo.data.examples import parse_example
from facezoo.data.records import index_records, scan_records
from facezoo.data.schema import FaceRecord

VERSION: Final = 1
PROPERTIES_FILE: Final = "index.json"
PROPERTIES: Final = frozenset({"version", "shards", "datasets", "num_images", "image_size"})
COLUMNS: Final = {
    "offset": "<i8",
    "length": "<i4",
    "shard": "<i4",
    "label": "<i4",
    "dataset": "<i4",
}
GROUPS: Final = ("order", "starts", "identities")
# Images looked at together: their working memory stays at some tens of MB.
_BLOCK: Final = 2**20
_MAX_LABEL: Final = 2**31 - 1


@dataclass
class _Seen:
    """The data sets met so far, and the size of their images: None where they differ."""

    ids: dict[str, int] = field(default_factory=dict)
    sizes: list[tuple[int, int] | None] = field(default_factory=list)

    def add(self, record: FaceRecord) -> int:
        """Returns the number of the record's data set."""
        number = self.ids.setdefault(record.dataset, len(self.ids))
        size = (record.height, record.width)
        if number == len(self.sizes):
            self.sizes.append(size)
        elif self.sizes[number] != size:
            self.sizes[number] = None
        return number


def write_index(paths: Sequence[Path], folder: Path) -> None:
    """Writes the index of shards into an empty folder.

    Args:
        paths: TFRecord files with the keys of `facezoo.data.schema`.
        folder: Gets `index.json`, a `.npy` file for each of `COLUMNS` and `GROUPS`, and where the
            shards hold several data sets a folder `dataset-<number>` with the same for each.

    Raises:
        ValueError: A file is damaged, or a record does not fit the schema.
    """
    seen = _Seen()
    num_images = _write_columns(paths, folder, seen)
    _write_groups(folder)
    shards = [[path.name, path.stat().st_size] for path in paths]
    names, sizes = list(seen.ids), set(seen.sizes)
    common = next(iter(sizes)) if len(sizes) == 1 else None
    properties = {"version": VERSION, "shards": shards}
    _write_properties(
        folder, properties | {"datasets": names, "num_images": num_images, "image_size": common}
    )
    if len(names) == 1:
        return
    for number, (name, size) in enumerate(zip(names, seen.sizes, strict=True)):
        part = dataset_folder(folder, number)
        part.mkdir()
        num_images = _copy_dataset(folder, part, number)
        _write_groups(part)
        _write_properties(
            part, properties | {"datasets": [name], "num_images": num_images, "image_size": size}
        )


def dataset_folder(folder: Path, number: int) -> Path:
    """Returns where the index of one of several data sets lies."""
    return folder / f"dataset-{number:05d}"


def _write_columns(paths: Sequence[Path], folder: Path, seen: _Seen) -> int:
    counts = [len(index_records(path)) for path in paths]
    columns = _create(folder, sum(counts))
    end = 0
    for number, (path, count) in enumerate(zip(paths, counts, strict=True)):
        start, end = end, end + count
        rows = np.array([*_rows(path, number, seen)], np.int64).reshape(count, len(COLUMNS))
        for column, values in zip(columns.values(), rows.T, strict=True):
            column[start:end] = values
    return end


def _rows(path: Path, shard: int, seen: _Seen) -> Iterator[tuple[int, ...]]:
    """Yields the columns' values of every record of a shard."""
    for offset, serialized in scan_records(path):
        record = parse_example(serialized)
        if not 0 <= record.label <= _MAX_LABEL:
            raise ValueError(
                f"The record at byte {offset} of {path} has no usable label. "
                f"Expected: 0 to {_MAX_LABEL}. Received: {record.label}."
            )
        yield offset, len(serialized), shard, record.label, seen.add(record)


def _copy_dataset(folder: Path, part: Path, number: int) -> int:
    """Copies the rows of one data set; returns how many there are."""
    whole = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in COLUMNS}
    dataset = whole["dataset"]
    count = sum(int(np.sum(dataset[block] == number)) for block in _blocks(len(dataset)))
    columns = _create(part, count)
    end = 0
    for block in _blocks(len(dataset)):
        rows = np.flatnonzero(dataset[block] == number)
        start, end = end, end + len(rows)
        for name, column in columns.items():
            column[start:end] = whole[name][block][rows]
    return count


def _write_groups(folder: Path) -> None:
    """Sorts the images by label, by counting, so that only the people need memory."""
    label = np.load(folder / "label.npy", mmap_mode="r")
    identities = np.empty(0, np.int32)
    for block in _blocks(len(label)):
        identities = np.union1d(identities, label[block])
    counts = np.zeros(len(identities), np.int64)
    for block in _blocks(len(label)):
        who = np.searchsorted(identities, label[block])
        counts += np.bincount(who, minlength=len(identities))
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    np.save(folder / "identities.npy", identities)
    np.save(folder / "starts.npy", starts)
    order = open_memmap(folder / "order.npy", "w+", np.dtype("<i8"), (len(label),))
    free = starts[:-1].copy()
    for block in _blocks(len(label)):
        who = np.searchsorted(identities, label[block])
        by_person = np.argsort(who, kind="stable")
        who = who[by_person]
        # How many of the same person come before, in this block.
        before = np.arange(len(who)) - np.searchsorted(who, who)
        order[free[who] + before] = block.start + by_person
        free += np.bincount(who, minlength=len(identities))


def _create(folder: Path, num_images: int) -> dict[str, np.ndarray]:
    return {
        name: open_memmap(folder / f"{name}.npy", "w+", np.dtype(kind), (num_images,))
        for name, kind in COLUMNS.items()
    }


def _blocks(num_images: int) -> Iterator[slice]:
    for start in range(0, num_images, _BLOCK):
        yield slice(start, min(start + _BLOCK, num_images))


def _write_properties(folder: Path, properties: dict[str, Any]) -> None:
    text = json.dumps(properties, indent=2) + "\n"
    (folder / PROPERTIES_FILE).write_text(text, encoding="utf-8")
