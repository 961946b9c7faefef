"""Embeddings in files: TFRecord for what reads our Examples, Parquet for everything else."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from facezoo import shapes
from facezoo.data import schema
from facezoo.data.examples import encode_features
from facezoo.data.records import RecordWriter, index_records
from pipelines.inference_input import Picture

MODEL_FINGERPRINT: Final = "model/fingerprint"
PREPROCESSING_FINGERPRINT: Final = "preprocessing/fingerprint"
METADATA: Final = "facezoo"
_DAMAGED = (OSError, ValueError, pa.ArrowException)
# A row group is held in memory: 8 MiB of 512 numbers.
_ROWS_PER_GROUP: Final = 4096


class TFRecordSink:
    """Writes tf.Examples, whole or not at all.

    Args:
        path: The file.
        facts: Of the model: `model` and `preprocessing`, its fingerprints, go into every record.
        embedding_dim: D.
    """

    SUFFIX: ClassVar[str] = ".tfrecord"

    def __init__(self, path: Path, facts: Mapping[str, Any], embedding_dim: int) -> None:
        del embedding_dim  # Every record says it by its own length.
        self._writer = RecordWriter(path)
        self._bound_to = {
            MODEL_FINGERPRINT: [facts["model"]],
            PREPROCESSING_FINGERPRINT: [facts["preprocessing"]],
        }

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def write(self, pictures: Sequence[Picture], embedding: NDArray, norm: NDArray) -> None:
        """Appends what was found of some pictures: embedding [N, D] and norm [N], float32."""
        rows = zip(pictures, embedding.tolist(), norm.tolist(), strict=True)
        for picture, numbers, length in rows:
            features: dict[str, list] = {
                schema.IMAGE_FILENAME: [picture.filename],
                schema.DATASET_NAME: [picture.dataset],
                shapes.EMBEDDING: numbers,
                shapes.NORM: [length],
                **self._bound_to,
            }
            if picture.identity is not None:
                features[schema.IDENTITY_NAME] = [picture.identity]
            if picture.label is not None:
                features[schema.IDENTITY_LABEL] = [picture.label]
            self._writer.write(encode_features(features))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, trace)


class ParquetSink:
    """Writes a Parquet file, whole or not at all.

    Args:
        path: The file.
        facts: Of the model; JSON under the key `facezoo` of the file's metadata.
        embedding_dim: D, the fixed length of the column's lists.
    """

    SUFFIX: ClassVar[str] = ".parquet"

    def __init__(self, path: Path, facts: Mapping[str, Any], embedding_dim: int) -> None:
        self._path, self._partial = path, path.with_name(path.name + ".partial")
        words = json.dumps(dict(facts), sort_keys=True, ensure_ascii=False)
        self._schema = pa.schema(
            [
                pa.field(schema.IMAGE_FILENAME, pa.string(), nullable=False),
                pa.field(schema.DATASET_NAME, pa.string(), nullable=False),
                pa.field(schema.IDENTITY_NAME, pa.string()),
                pa.field(schema.IDENTITY_LABEL, pa.int32()),
                pa.field(shapes.EMBEDDING, pa.list_(pa.float32(), embedding_dim), nullable=False),
                pa.field(shapes.NORM, pa.float32(), nullable=False),
            ],
            metadata={METADATA: words},
        )
        self._waiting: list[pa.RecordBatch] = []

    def __enter__(self) -> Self:
        # Numbers of an embedding never repeat: a dictionary of them would only cost time.
        texts = [schema.DATASET_NAME, schema.IDENTITY_NAME]
        self._writer = parquet.ParquetWriter(self._partial, self._schema, use_dictionary=texts)
        return self

    def write(self, pictures: Sequence[Picture], embedding: NDArray, norm: NDArray) -> None:
        """Appends what was found of some pictures: embedding [N, D] and norm [N], float32."""
        kind = self._schema.field(shapes.EMBEDDING).type
        columns = [
            [picture.filename for picture in pictures],
            [picture.dataset for picture in pictures],
            [picture.identity for picture in pictures],
            [picture.label for picture in pictures],
            pa.FixedSizeListArray.from_arrays(
                pa.array(np.ascontiguousarray(embedding).ravel()), type=kind
            ),
            norm,
        ]
        arrays = [
            one if isinstance(one, pa.Array) else pa.array(one, field.type)
            for one, field in zip(columns, self._schema, strict=True)
        ]
        self._waiting.append(pa.record_batch(arrays, schema=self._schema))
        if sum(batch.num_rows for batch in self._waiting) >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting))
            self._waiting.clear()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._flush()
            self._writer.close()
            if error is None:
                os.replace(self._partial, self._path)
        finally:
            self._partial.unlink(missing_ok=True)


Sink = TFRecordSink | ParquetSink
SINKS: Final[Mapping[str, type[Sink]]] = {"tfrecord": TFRecordSink, "parquet": ParquetSink}
_COUNT: Final[Mapping[str, Callable[[Path], int]]] = {
    "tfrecord": lambda path: len(index_records(path)),
    "parquet": lambda path: parquet.read_metadata(path).num_rows,
}


def count_rows(path: Path, kind: str) -> int:
    """Reads back how many embeddings a file holds; 0 if it is not there or damaged.

    Args:
        path: What a sink wrote.
        kind: A key of `SINKS`.
    """
    try:
        return _COUNT[kind](path)
    except _DAMAGED:
        return 0
