"""The Beam stage that turns a split's records into what curation knows of faces."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import apache_beam as beam
import keras
import numpy as np
from numpy.typing import NDArray

from facezoo import evaluation, shapes
from facezoo.curation import Faces, Person
from facezoo.data import images
from facezoo.data.near_duplicates import PictureHashes, hash_picture
from facezoo.models import FaceModel
from pipelines.artifacts import Examples
from pipelines.component import ComponentError, Context
from pipelines.embedding import LABEL, Batch, Columns, Key, embed_shards
from pipelines.witness import Witness

_HASHES: Final = ("digest", "coarse", "fine", "hashed")
_NAMES: Final = ("dataset", "identity", "filename")


class DescribeBatch(beam.DoFn):
    """Records of one batch -> names, embeddings, norms and hashes of the pictures, as columns.

    Args:
        model_dir: Preset folder of the model, which brings its own preprocessing.
    """

    def __init__(self, model_dir: str) -> None:
        self._model_dir = model_dir

    def setup(self) -> None:
        self._model = FaceModel.from_preset(self._model_dir)

    def process(self, element: Batch) -> Iterator[tuple[Key, Columns]]:
        key, batch = element
        encoded = [record.encoded for record in batch]
        preprocessing = self._model.preprocessing
        image = evaluation.decode_batch(encoded, preprocessing)
        answer = self._model(preprocessing.standardize(image), training=False)
        # Of the crop itself, not at the model's size: with another witness it is the same picture.
        hashes = PictureHashes.stack([hash_picture(images.decode_rgb(one)) for one in encoded])
        columns = {LABEL: np.array([record.label for record in batch], np.int32)}
        columns |= {name: np.array([getattr(one, name) for one in batch]) for name in _NAMES}
        columns |= {name: getattr(hashes, name) for name in _HASHES}
        for name in (shapes.EMBEDDING, shapes.NORM):
            columns[name] = keras.ops.convert_to_numpy(answer[name])
        yield key, columns


def read_faces(
    examples: Examples,
    split: str,
    witness: Witness,
    batch_size: int,
    folder: Path,
    context: Context,
) -> tuple[Faces, NDArray[np.int32]]:
    """Embeds and hashes every record of a split.

    Args:
        examples: Face crops.
        split: Which of them; it holds one record or more.
        witness: Embeds them.
        batch_size: Images embedded at once.
        folder: Where the workers may leave a file for a while.
        context: What the runner lends.

    Returns:
        The faces in the order of the records, people in that of their labels; and the labels of
        these people, int32 [P]. Somebody without a picture is not among them.

    Raises:
        ComponentError: Records got lost on the way, or cannot be curated.
    """
    columns, label = embed_shards(
        examples.shards(split), DescribeBatch(witness.folder), batch_size, folder, context
    )
    try:
        return to_faces(columns, label, witness.fingerprint)
    except ValueError as error:
        raise ComponentError(f"The {split} split cannot be curated: {error}") from error


def to_faces(
    columns: Mapping[str, NDArray], label: NDArray[np.int32], witness: str
) -> tuple[Faces, NDArray[np.int32]]:
    """Makes faces of columns.

    Raises:
        ValueError: A label stands for two people, or `Faces` refuses the columns.
    """
    labels, first, row = np.unique(label, return_index=True, return_inverse=True)
    dataset, identity, filename = (columns[name] for name in _NAMES)
    if (other := np.flatnonzero(identity != identity[first][row])).size:
        name, expected = str(identity[other[0]]), str(identity[first][row[other[0]]])
        raise ValueError(
            f"A label must stand for one person. Received: {label[other[0]]} for {expected!r} "
            f"and {name!r}."
        )
    people = tuple(Person(str(dataset[one]), str(identity[one])) for one in first)
    hashes = PictureHashes(*(columns[name] for name in _HASHES))
    embedding, norm = columns[shapes.EMBEDDING], columns[shapes.NORM]
    return Faces(people, row, tuple(filename.tolist()), embedding, norm, hashes, witness), labels
