"""The two files that make a folder of our TFRecords a TFDS data set."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facezoo.data import schema

_VERSION = "1.0.0"
# TFDS fills this in: our Split-<s>/data_tfrecord-00000-of-0000N, named as TFX does.
_TEMPLATE = "Split-{SPLIT}/data_tfrecord-{SHARD_X_OF_Y}"


def write_tfds_info(
    folder: Path, dataset: str, shards: Mapping[str, Sequence[tuple[int, int]]]
) -> None:
    """Writes `features.json` and `dataset_info.json`, so that TFDS reads the folder.

    Args:
        folder: Holds `Split-<s>/data_tfrecord-00000-of-0000N`.
        dataset: Name; brought to TFDS's form, lower case with underscores.
        shards: (number of records, number of bytes) of every shard in order, by split.

    Example:
        `tfds.builder_from_directory(folder).as_dataset(split="train")`
    """
    _write_json(folder / "features.json", _features().to_json())
    splits = [
        {
            "name": split,
            "filepathTemplate": _TEMPLATE,
            "shardLengths": [str(num_records) for num_records, _ in sizes],
            "numBytes": str(sum(num_bytes for _, num_bytes in sizes)),
        }
        for split, sizes in shards.items()
    ]
    name = re.sub(r"[^a-z0-9]+", "_", dataset.lower()).strip("_")
    if not name[:1].isalpha():
        name = f"faces_{name}"
    info = {"name": name, "version": _VERSION, "fileFormat": "tfrecord", "splits": splits}
    _write_json(folder / "dataset_info.json", info)


def _features() -> Any:
    """Returns TFDS's description of a record; `image/encoded` is the key of image: {encoded}."""
    # Imported here: half a second that a Beam worker need not spend.
    import numpy as np
    import tensorflow_datasets as tfds

    tree: dict[str, dict[str, Any]] = {}
    for key in (*schema.BYTES_KEYS, *schema.INT64_KEYS):
        group, name = key.split("/")
        feature = tfds.features.Text() if key in schema.BYTES_KEYS else np.int64
        if key == schema.IMAGE_ENCODED:
            feature = tfds.features.Image(shape=(None, None, 3))
        tree.setdefault(group, {})[name] = feature
    return tfds.features.FeaturesDict(tree)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
