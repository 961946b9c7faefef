"""The keys of a record: the contract between Beam and TensorFlow, stated once."""

from dataclasses import dataclass
from typing import Final

IMAGE_ENCODED: Final = "image/encoded"
IMAGE_FORMAT: Final = "image/format"
IMAGE_HEIGHT: Final = "image/height"
IMAGE_WIDTH: Final = "image/width"
IMAGE_FILENAME: Final = "image/filename"
IDENTITY_NAME: Final = "identity/name"
IDENTITY_LABEL: Final = "identity/label"
DATASET_NAME: Final = "dataset/name"

BYTES_KEYS: Final = (IMAGE_ENCODED, IMAGE_FORMAT, IMAGE_FILENAME, IDENTITY_NAME, DATASET_NAME)
INT64_KEYS: Final = (IMAGE_HEIGHT, IMAGE_WIDTH, IDENTITY_LABEL)
FORMATS: Final = ("jpeg", "png")
TRAIN: Final = "train"
EVAL: Final = "eval"


@dataclass(frozen=True)
class FaceRecord:
    """One photograph of one person, as the TFRecords hold it.

    Args:
        encoded: JPEG or PNG, 8 bits, grey or RGB, upright: what every TensorFlow decodes.
        format: `"jpeg"` or `"png"`.
        height: Pixels.
        width: Pixels.
        filename: Where it came from, relative to the input; unique in its data set.
        identity: The person's name in the data.
        label: The person's number; people of the train split come first, from 0, without gaps.
        dataset: Name of the data set.
    """

    encoded: bytes
    format: str
    height: int
    width: int
    filename: str
    identity: str
    label: int
    dataset: str
