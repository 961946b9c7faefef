"""The Beam stage that turns shards of face crops into embeddings, in the order of the records."""

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray

from facezoo import evaluation
from facezoo.data.examples import parse_example
from facezoo.data.records import index_records, read_records
from facezoo.data.schema import FaceRecord
from facezoo.evaluation.picture_slices import measure
from facezoo.models import FaceModel
from pipelines.component import ComponentError, Context

MODEL: Final = "model"
PIXEL: Final = "pixel"
UNTRAINED: Final = "untrained"
UNCURATED: Final = "uncurated_model"
BASELINE: Final = "baseline_model"
# In words, the model first, as in plots and in the verdict.
NAMES: Final = {
    MODEL: "trained model",
    UNCURATED: "model before curation",
    PIXEL: "raw pixels",
    UNTRAINED: "untrained network",
    BASELINE: "last blessed model",
}
LABEL: Final = "label"
MEASURED: Final = "measured"

Key = tuple[int, int]
Batch = tuple[Key, list[FaceRecord]]
Columns = dict[str, NDArray]


def read_batches(indexed_shard: tuple[int, str], batch_size: int) -> Iterator[Batch]:
    """Yields a shard's records in batches, keyed by (shard, batch)."""
    shard, path = indexed_shard
    records = map(parse_example, read_records(Path(path)))
    for number in itertools.count():
        batch = list(itertools.islice(records, batch_size))
        if not batch:
            return
        yield (shard, number), batch


def check_finite(embeddings: Mapping[str, NDArray]) -> None:
    """Raises ComponentError where embeddings are no numbers."""
    for name, embedding in embeddings.items():
        if not np.isfinite(embedding).all():
            raise ComponentError(
                f"The embeddings of the {NAMES[name]} are not finite: its training has diverged. "
                "Train it with a lower learning rate."
            )


def write_columns(batches: Iterable[tuple[Key, Columns]], path: str) -> None:
    """Writes the columns of all batches, put together in the order of their keys."""
    columns = [found for _, found in sorted(batches, key=lambda batch: batch[0])]
    whole = {name: np.concatenate([found[name] for found in columns]) for name in columns[0]}
    np.savez(path, **whole)


class EmbedBatch(beam.DoFn):
    """Encoded images of one batch -> their labels, and their embeddings by every name.

    The column `MEASURED` holds what `facezoo.evaluation.picture_slices.measure` says of each.

    Args:
        model_dir: Preset folder of the model, which also gives the untrained network.
        other_dirs: Preset folders of other models by name, which bring their own preprocessing.
    """

    def __init__(self, model_dir: str, other_dirs: Mapping[str, str]) -> None:
        self._model_dir = model_dir
        self._other_dirs = dict(other_dirs)

    def setup(self) -> None:
        model = FaceModel.from_preset(self._model_dir)
        self._models = {MODEL: model, UNTRAINED: evaluation.untrained_model(model)}
        for name, folder in self._other_dirs.items():
            self._models[name] = FaceModel.from_preset(folder)

    def process(self, element: Batch) -> Iterator[tuple[Key, Columns]]:
        key, batch = element
        encoded = [record.encoded for record in batch]
        columns = {LABEL: np.array([record.label for record in batch], np.int32)}
        for name, model in self._models.items():
            image = evaluation.decode_batch(encoded, model.preprocessing)
            if name == MODEL:
                columns[PIXEL] = evaluation.pixel_embedding(image)
                columns[MEASURED] = np.array([measure(one) for one in image.numpy()])
            columns[name] = evaluation.embed_batch(model, model.preprocessing.standardize(image))
        yield key, columns


class EmbedShards(beam.PTransform):
    """(number, path) of shards -> one file with the columns of all records, in their order."""

    def __init__(self, embed: beam.DoFn, batch_size: int, path: Path) -> None:
        super().__init__()
        self._embed = embed
        self._batch_size = batch_size
        self._path = str(path)

    def expand(self, shards: beam.PCollection[tuple[int, str]]) -> beam.PCollection[None]:
        return (
            shards
            | "ReadBatches" >> beam.FlatMap(read_batches, self._batch_size)
            | "Spread" >> beam.Reshuffle()
            | "Embed" >> beam.ParDo(self._embed)
            | "Gather" >> beam.combiners.ToList()
            | "Write" >> beam.Map(write_columns, self._path)
        )


def embed_shards(
    shards: Sequence[Path], embed: beam.DoFn, batch_size: int, folder: Path, context: Context
) -> tuple[Columns, NDArray[np.int32]]:
    """Embeds all records of some shards.

    Args:
        shards: TFRecord files of face crops, with one record or more among them.
        embed: A `Batch` to its key and columns, `LABEL` among them, such as `EmbedBatch`.
        batch_size: Images per batch. The last of a shard may be smaller; no batch spans two, so
            that the same shards give the same batches under every runner.
        folder: Where the workers may leave a file for a while.
        context: What the runner lends.

    Returns:
        The other columns by name, and labels, int32 [N], in the order of the records.

    Raises:
        ComponentError: Records got lost on the way.
    """
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        path = Path(aside) / "columns.npz"
        with context.beam_pipeline() as pipeline:
            paths = list(enumerate(str(shard) for shard in shards))
            _ = pipeline | "Shards" >> beam.Create(paths) | EmbedShards(embed, batch_size, path)
        with np.load(path) as file:
            columns = dict(file)
    label = columns.pop(LABEL)
    expected = sum(len(index_records(shard)) for shard in shards)
    if len(label) != expected:
        raise ComponentError(
            f"Beam lost records: {expected} lie in the Examples, {len(label)} were embedded. "
            "Use another runner, or report this one to Beam."
        )
    return columns, label
