"""Transform: every picture once to a face crop of the network's size, shard by shard."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_metadata.proto.v0 import schema_pb2

from facezoo.data import images, schema
from facezoo.data.examples import encode_example, parse_example
from facezoo.data.record_index import RecordIndex
from facezoo.data.records import RecordWriter, read_records
from facezoo.data.references import Refusal
from facezoo.data.schema import FaceRecord
from pipelines.artifacts import Artifact, ExampleAnomalies, Examples, Schema
from pipelines.beam_errors import naming, one_clear_line
from pipelines.component import Component, ComponentError, Context, Counts
from pipelines.examples_folder import (
    QUARANTINE_FILE,
    SplitContents,
    read_split,
    set_properties,
    write_contents,
    write_quarantine,
)
from pipelines.tfmd import ANOMALIES_TEXT_FILE, read_schema
from pipelines.threads import map_in_order

MODES = ("stretch", "center_crop")
DETECTORS = ("none",)


@dataclass(frozen=True)
class Params:
    """What a crop looks like.

    Args:
        height: Of the crop, pixels, at least 1.
        width: Of the crop, pixels, at least 1.
        mode: How a picture of other proportions gets there: `"stretch"` changes them, as the
            exported graph does with whatever it is sent, so that training and serving agree;
            `"center_crop"` cuts off what protrudes.
        format: `"png"`, without loss, or `"jpeg"`.
        quality: Of a JPEG, from 1 to 100.
        detector: Finds the face first: `"none"`, the pictures are faces already.

    Raises:
        ValueError: A value is out of range.
    """

    height: int = 112
    width: int = 96
    mode: str = "stretch"
    format: str = "png"
    quality: int = 95
    detector: str = "none"

    def __post_init__(self) -> None:
        for name, known in (("mode", MODES), ("format", schema.FORMATS), ("detector", DETECTORS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}. Received: {getattr(self, name)!r}."
                )
        if min(self.height, self.width) < 1 or not 1 <= self.quality <= 100:
            raise ValueError(
                "height and width must be at least 1 and quality from 1 to 100. Received: "
                f"height={self.height}, width={self.width}, quality={self.quality}."
            )


def crop(image: np.ndarray, params: Params) -> np.ndarray:
    """Brings uint8 [H, W, 3] to the size of the crops."""
    if params.mode == "center_crop":
        image = images.center_crop(image, params.height, params.width)
    return images.resize(image, params.height, params.width)


def transform_record(record: FaceRecord, params: Params) -> FaceRecord | Refusal:
    """Returns a record with the crop in place of the picture."""
    try:
        image = crop(images.decode_rgb(record.encoded), params)
    except images.UnreadableImage as error:
        return Refusal(record.filename, str(error))
    if params.format == "png":
        encoded = images.encode_png(image)
    else:
        encoded = images.encode_jpeg(image, params.quality)
    return replace(
        record,
        encoded=encoded,
        format=params.format,
        height=params.height,
        width=params.width,
    )


def require_blessed(anomalies: Artifact, splits: list[str]) -> None:
    """Stops if ExampleValidator has found fault with a split, or has not looked at it.

    Raises:
        ComponentError: A split is not blessed.
    """
    blessed = json.loads(anomalies.properties.get("blessed", "{}"))
    if refused := [split for split in splits if not blessed.get(split)]:
        raise ComponentError(
            f"Not transformed: ExampleValidator does not bless the split {', '.join(refused)}. "
            f"What is wrong with it stands in {anomalies.uri / ANOMALIES_TEXT_FILE}."
        )


def require_keys(known: schema_pb2.Schema) -> None:
    """Stops if the schema lacks a feature of our records.

    Raises:
        ComponentError: A feature is missing.
    """
    wanted = {*schema.BYTES_KEYS, *schema.INT64_KEYS}
    if missing := sorted(wanted - {feature.name for feature in known.feature}):
        raise ComponentError(
            f"Transform reads records with the features {', '.join(sorted(wanted))}. "
            f"The schema lacks: {', '.join(missing)}."
        )


def keep_labels(before: Mapping[str, SplitContents], after: Mapping[str, SplitContents]) -> None:
    """Lists people whose last picture was refused with 0 images: labels have no gaps."""
    for split, contents in after.items():
        for label, name in before[split].names.items():
            contents.names.setdefault(label, name)
            contents.num_images.setdefault(label, 0)


class TransformShard(beam.DoFn):
    """(input shard, output shard) -> the same records in the same order; yields refusals."""

    def __init__(self, params: Params) -> None:
        self._transform = partial(transform_record, params=params)

    def process(self, shard: tuple[str, str]) -> Iterator[Refusal]:
        source, target = map(Path, shard)
        with naming(target), RecordWriter(target) as writer:
            records = map(parse_example, read_records(source))
            for result in map_in_order(self._transform, records):
                if isinstance(result, Refusal):
                    yield result
                else:
                    writer.write(encode_example(result))


class TransformExamples(beam.PTransform):
    """(input shard, output shard) paths -> shards and the quarantine list."""

    def __init__(self, params: Params, folder: Path) -> None:
        super().__init__()
        self._params, self._folder = params, folder

    def expand(self, shards: beam.PCollection[tuple[str, str]]) -> beam.PCollection[None]:
        return (
            shards
            | "Spread" >> beam.Reshuffle()
            | "Transform" >> beam.ParDo(TransformShard(self._params))
            | "AllRows" >> beam.combiners.ToList()
            | "WriteRows" >> beam.Map(write_quarantine, str(self._folder / QUARANTINE_FILE))
        )


class Transform(Component):
    """Cuts face crops.

    Inputs:
        examples: Pictures of any size.
        schema: Must name every feature of our records.
        anomalies: Its property `blessed`, JSON {split: 0 or 1}, must bless every split.

    Outputs:
        transformed_examples: The same records with crops, in shards of the same names and order;
            besides what ExampleGen writes beside its shards, `Index-<split>/`, a `RecordIndex`.

    Params:
        height, width, mode, format, quality, detector.

    Guarantees:
        Deterministic. A picture that cannot be decoded becomes a row of the quarantine list; a
        person who loses the last picture keeps the label, with 0 images. Records in and out are
        counted; a damaged shard or an empty split stops the run.
    """

    INPUTS = {"examples": Examples, "schema": Schema, "anomalies": ExampleAnomalies}
    OUTPUTS = {"transformed_examples": Examples}
    Params = Params

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        source: Any = inputs["examples"]
        target: Any = outputs["transformed_examples"]
        require_blessed(inputs["anomalies"], source.splits)
        require_keys(read_schema(inputs["schema"]))
        with one_clear_line(self.id):
            before = {split: read_split(source, split) for split in source.splits}
            shards = []
            for split in source.splits:
                target.split_dir(split).mkdir()
                for shard in source.shards(split):
                    shards.append((str(shard), str(target.split_dir(split) / shard.name)))
            with context.beam_pipeline() as pipeline:
                paths = pipeline | "Shards" >> beam.Create(shards)
                _ = paths | TransformExamples(self.params, target.uri)
            after = {split: read_split(target, split) for split in source.splits}
            keep_labels(before, after)
            found = sum(contents.num_records for contents in before.values())
            counts = write_contents(target, after, found)
        if empty := [split for split, contents in after.items() if not contents.num_records]:
            raise ComponentError(
                f"No picture of the split {', '.join(empty)} could be decoded. "
                "Look at the pictures that ExampleGen was given."
            )
        for split in source.splits:
            RecordIndex.build(target.shards(split), target.index_dir(split))
        set_properties(target, source.splits)
        return counts
