"""Mined triplets as a TFRecord file: which images, how far apart, chosen by which checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from facezoo.data import examples, schema
from facezoo.data.records import RecordWriter, read_records

_POSITION = "image/position"
_DISTANCE = "triplet/distance"
_COUNT = "triplet/count"
_CHECKPOINT = "checkpoint/name"
_STEP = "checkpoint/step"


class MinedTriplets(NamedTuple):
    """T triplets of one round, T >= 1, with where they come from.

    Args:
        position: int64 [T, 3], the images' numbers in the index: anchor, positive, negative.
        label: int32 [T, 3], their identities.
        filename: T times 3, where the pictures came from.
        distance: float32 [T, 2], squared L2 from the anchor to the other two when mined.
        checkpoint: Name of the checkpoint with the weights that they were mined with.
        step: Steps that the training had done by then.
    """

    position: np.ndarray
    label: np.ndarray
    filename: Sequence[Sequence[str]]
    distance: np.ndarray
    checkpoint: str
    step: int


def write_triplets(path: Path, mined: MinedTriplets) -> None:
    """Writes one tf.Example per triplet; the file is there when it is whole.

    Args:
        path: Its folder is made if it is not there.
        mined: What to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with RecordWriter(path) as writer:
        for row in range(len(mined.position)):
            writer.write(_encode(mined, row))


def read_triplets(path: Path) -> MinedTriplets:
    """Reads what `write_triplets` wrote.

    Raises:
        ValueError: The file is missing, damaged, or holds something else.
    """
    if not path.exists():
        raise ValueError(
            f"The triplets {path} are missing, and mined with other weights they would be others. "
            "Put the file back, or delete the training's folder to start anew."
        )
    found = [examples.parse_features(record) for record in read_records(path)]
    try:
        mined = MinedTriplets(
            np.array([one[_POSITION] for one in found], np.int64).reshape(-1, 3),
            np.array([one[schema.IDENTITY_LABEL] for one in found], np.int32).reshape(-1, 3),
            [[name.decode("utf-8") for name in one[schema.IMAGE_FILENAME]] for one in found],
            np.array([one[_DISTANCE] for one in found], np.float32).reshape(-1, 2),
            found[0][_CHECKPOINT][0].decode("utf-8"),
            found[0][_STEP][0],
        )
        count = found[0][_COUNT][0]
    except (AttributeError, IndexError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} holds no triplets: {error!r}. Expected: what the training has written there. "
            "Put that back, or delete the training's folder to start anew."
        ) from error
    if len(found) != count:
        raise ValueError(
            f"{path} is cut off. Expected: {count} triplets. Received: {len(found)}. "
            "Put the whole file back, or delete the training's folder to start anew."
        )
    return mined


def _encode(mined: MinedTriplets, row: int) -> bytes:
    return examples.encode_features(
        {
            _POSITION: mined.position[row].tolist(),
            schema.IDENTITY_LABEL: mined.label[row].tolist(),
            schema.IMAGE_FILENAME: mined.filename[row],
            _DISTANCE: mined.distance[row].tolist(),
            _COUNT: [len(mined.position)],
            _CHECKPOINT: [mined.checkpoint],
            _STEP: [mined.step],
        }
    )
