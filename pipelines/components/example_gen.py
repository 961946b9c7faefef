"""ExampleGen: from a folder, a CSV or a TFDS set to checked TFRecords, people divided in two."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam

from facezoo.data import images, schema, sources
from facezoo.data.records import RecordWriter
from facezoo.data.references import ImageRef, Listing, Refusal, SourceError
from facezoo.data.split import split_identities
from pipelines.artifacts import Artifact, Examples
from pipelines.beam_errors import naming, one_clear_line
from pipelines.component import Component, ComponentError, Context, Counts
from pipelines.examples_folder import (
    QUARANTINE_FILE,
    read_split,
    refuse_too_few_people,
    set_properties,
    shard_name,
    write_contents,
    write_quarantine,
)
from pipelines.ingestion import (
    CheckedImage,
    Placed,
    Shard,
    all_shards,
    check_image,
    drop_duplicates,
    make_record,
    place,
    to_shard,
)
from pipelines.threads import map_in_order

_SPLITS = (schema.TRAIN, schema.EVAL)
_MIN_IDENTITIES = 2
# References per Beam element: enough to keep the threads of one call busy.
_CHUNK = 64


@dataclass(frozen=True)
class Params:
    """What is read and how it is divided.

    Args:
        input: `"orl"`, a folder with one folder per identity, a CSV file (path, identity), or
            `"tfds:NAME"` (NAME may be the folder of a prepared set).
        dataset: Name for the records; "" takes the input's own.
        eval_fraction: Share of the people, not of the images, in the eval split, in (0, 1).
        salt: Decides who is in the eval split, and the order of the records.
        images_per_shard: About how many records a file holds, at least 1.
        min_size: Least height and width of an image, pixels, at least 1.
        max_pixels: Most pixels of an image, at least 1.

    Raises:
        ValueError: A value is out of range.
    """

    input: str = sources.ORL
    dataset: str = ""
    eval_fraction: float = 0.25
    salt: str = "facezoo"
    images_per_shard: int = 1000
    min_size: int = 16
    max_pixels: int = images.MAX_PIXELS

    def __post_init__(self) -> None:
        if not 0 < self.eval_fraction < 1:
            raise ValueError(
                f"eval_fraction must be between 0 and 1. Received: {self.eval_fraction}."
            )
        for name in ("images_per_shard", "min_size", "max_pixels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {getattr(self, name)}.")


def _is_refusal(result: CheckedImage | Refusal, num_partitions: int) -> int:
    del num_partitions
    return int(isinstance(result, Refusal))


class CheckChunk(beam.DoFn):
    """Lists of references -> CheckedImage or Refusal of each."""

    def __init__(self, max_pixels: int, min_size: int) -> None:
        self._check = partial(check_image, max_pixels=max_pixels, min_size=min_size)

    def process(self, chunk: list[ImageRef]) -> Iterator[CheckedImage | Refusal]:
        yield from map_in_order(self._check, chunk)


class WriteShard(beam.DoFn):
    """(Shard, pictures or None) -> a TFRecord file, sorted."""

    def __init__(self, folder: Path, dataset: str, max_pixels: int) -> None:
        self._folder = str(folder)
        self._make_record = partial(make_record, dataset=dataset, max_pixels=max_pixels)

    def process(self, element: tuple[Shard, Iterable[Placed | None]]) -> None:
        (split, number, total), pictures = element
        ordered = sorted(
            filter(None, pictures), key=lambda placed: (placed.order, placed.image.ref.key)
        )
        path = Path(self._folder, f"Split-{split}", shard_name(number, total))
        with naming(path), RecordWriter(path) as writer:
            for record in map_in_order(self._make_record, ordered):
                writer.write(record)


class WriteExamples(beam.PTransform):
    """A listing -> shards of both splits, and the quarantine list, in a folder.

    References go through the shuffles, never pictures.
    """

    def __init__(self, listing: Listing, params: Params, folder: Path) -> None:
        super().__init__()
        self._listing, self._params, self._folder = listing, params, folder

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[None]:
        refs, params = self._listing.images, self._params
        chunks = [refs[start : start + _CHUNK] for start in range(0, len(refs), _CHUNK)]
        checked, unreadable = (
            pipeline
            | "Chunks" >> beam.Create(chunks)
            | "Spread" >> beam.Reshuffle()
            | "Check" >> beam.ParDo(CheckChunk(params.max_pixels, params.min_size))
            | "Unreadable" >> beam.Partition(_is_refusal, 2)
        )
        unique, repeated = (
            checked
            | "ByDigest" >> beam.Map(lambda image: (image.digest, image))
            | "SameBytes" >> beam.GroupByKey()
            | "DropDuplicates" >> beam.FlatMapTuple(lambda _, group: drop_duplicates(group))
            | "Repeated" >> beam.Partition(_is_refusal, 2)
        )
        _ = unique | "Shards" >> _WriteSplits(self._listing.dataset, params, self._folder)
        known = pipeline | "Refused" >> beam.Create(self._listing.refusals)
        return (
            (known, unreadable, repeated)
            | "Quarantine" >> beam.Flatten()
            | "AllRows" >> beam.combiners.ToList()
            | "WriteRows" >> beam.Map(write_quarantine, str(self._folder / QUARANTINE_FILE))
        )


class _WriteSplits(beam.PTransform):
    def __init__(self, dataset: str, params: Params, folder: Path) -> None:
        super().__init__()
        self._dataset, self._params, self._folder = dataset, params, folder

    def expand(self, pictures: beam.PCollection[CheckedImage]) -> beam.PCollection[None]:
        params = self._params
        sides = (
            pictures
            | "Identity" >> beam.Map(lambda image: image.ref.identity)
            | "Distinct" >> beam.Distinct()
            | "Identities" >> beam.combiners.ToList()
            | "Sides" >> beam.Map(split_identities, params.eval_fraction, params.salt)
        )
        placed = pictures | "Place" >> beam.Map(place, beam.pvalue.AsSingleton(sides), params.salt)
        sizes = beam.pvalue.AsDict(placed | "Sizes" >> beam.combiners.Count.PerKey())

        full = placed | "ToShard" >> beam.Map(to_shard, sizes, params.images_per_shard)
        # A shard that no picture's hash meets must exist all the same.
        frames = (
            pictures.pipeline
            | "Splits" >> beam.Create(_SPLITS)
            | "Frames" >> beam.FlatMap(all_shards, sizes, params.images_per_shard)
            | "Empty" >> beam.Map(lambda shard: (shard, None))
        )
        return (
            (full, frames)
            | "Both" >> beam.Flatten()
            | "ByShard" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(WriteShard(self._folder, self._dataset, params.max_pixels))
        )


class ExampleGen(Component):
    """Makes Examples of photographs, so that nobody is in both splits.

    Outputs:
        examples: `Split-train/` and `Split-eval/` with TFRecords; `counts.json`;
            `quarantine.csv` (path, reason); `identities.json`, {split: [[label, name,
            num_images], ..]}; TFDS's `features.json` and `dataset_info.json`.

    Params:
        input, dataset, eval_fraction, salt, images_per_shard, min_size, max_pixels.

    Guarantees:
        Deterministic: the same input gives the same bytes, whatever the runner and its workers.
        Everything found is a record or a row of the quarantine list; the shards are read back and
        counted. Byte-identical pictures are kept once per person; if they stand under several
        people, none is kept. An 8-bit grey or RGB JPEG or PNG is kept byte by byte.
    """

    OUTPUTS = {"examples": Examples}
    Params = Params

    def external_fingerprint(self, context: Context) -> str:
        """Digest of the input's file names, sizes and times."""
        del context
        try:
            return sources.fingerprint(self.params.input)
        except SourceError as error:
            raise ComponentError(str(error)) from error

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        examples: Any = outputs["examples"]
        spool = examples.uri / "pictures.partial"
        with one_clear_line(self.id):
            listing = self._list(spool)
            for split in _SPLITS:
                examples.split_dir(split).mkdir()
            with context.beam_pipeline() as pipeline:
                _ = pipeline | WriteExamples(listing, self.params, examples.uri)
            spool.unlink(missing_ok=True)
            contents = {split: read_split(examples, split) for split in _SPLITS}
            found = len(listing.images) + len(listing.refusals)
            counts = write_contents(examples, contents, found)
        num_identities = {split: len(one.names) for split, one in contents.items()}
        refuse_too_few_people(examples, num_identities, _MIN_IDENTITIES)
        set_properties(examples, list(_SPLITS))
        people = {f"{split}_identities": number for split, number in num_identities.items()}
        return counts | people

    def _list(self, spool: Path) -> Listing:
        try:
            listing = sources.list_input(self.params.input, spool)
        except SourceError as error:
            raise ComponentError(str(error)) from error
        listing.dataset = self.params.dataset or listing.dataset
        return listing
