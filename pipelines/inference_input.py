"""What is embedded in bulk: shards of records, or pictures in files, as pieces of work."""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from facezoo.data import images, sources
from facezoo.data.examples import parse_example
from facezoo.data.records import index_records, read_records
from facezoo.data.references import ImageRef, Refusal
from pipelines.component import ComponentError
from pipelines.ingestion import refuse_large

IMAGES_PER_SHARD: Final = 1000
# Where results go that belong to no split: readers of Parquet take a folder of nothing else.
EMBEDDINGS: Final = "embeddings"
_SHARDS: Final = "*tfrecord*"
_OURS_WHILE_WRITTEN: Final = ".partial"


class Picture(NamedTuple):
    """One picture, encoded, with what is known of it.

    Args:
        filename: Where it came from, relative to the input.
        encoded: Its file's bytes.
        dataset: Name of its data set.
        identity: The person's name; None if it is not known.
        label: The person's number; None if it has none.
    """

    filename: str
    encoded: bytes
    dataset: str
    identity: str | None = None
    label: int | None = None


@dataclass(frozen=True)
class Piece:
    """What one call of a worker embeds into one file.

    Args:
        source: A TFRecord file, or references to pictures.
        target: The file, relative to the output and without its extension.
        num_found: How many pictures there are.
        dataset: Their data set, where they are references.
    """

    source: str | tuple[ImageRef, ...]
    target: str
    num_found: int
    dataset: str = ""

    def pictures(self) -> Iterator[Picture | Refusal]:
        """Yields the pictures in order, and why one cannot be read.

        Raises:
            OSError: The TFRecord file cannot be read, or is damaged.
        """
        if isinstance(self.source, str):
            yield from _from_records(Path(self.source))
        else:
            yield from (_from_file(ref, self.dataset) for ref in self.source)


def _from_records(path: Path) -> Iterator[Picture]:
    try:
        for record in map(parse_example, read_records(path)):
            yield Picture(
                record.filename, record.encoded, record.dataset, record.identity, record.label
            )
    except ValueError as error:
        # Beam hands on the text of an error alone; this type is the one it is told apart by.
        raise OSError(f"{path.name}: {str(error).rstrip('.')}") from error


def _from_file(ref: ImageRef, dataset: str) -> Picture | Refusal:
    if refused := refuse_large(ref, images.MAX_PIXELS):
        return refused
    try:
        return Picture(ref.key, ref.read(), dataset, ref.identity or None)
    except OSError as error:
        return Refusal(ref.key, f"cannot be read: {error.strerror or error}")


def shard_pieces(shards: Sequence[Path], folder: str = EMBEDDINGS) -> list[Piece]:
    """One piece for every TFRecord file.

    Args:
        shards: In order.
        folder: Where the results go, relative to the output.

    Raises:
        ComponentError: A file cannot be read as an uncompressed TFRecord file.
    """
    try:
        counts = [len(index_records(shard)) for shard in shards]
    except (OSError, ValueError) as error:
        raise ComponentError(f"{error} TFRecords must be whole and uncompressed.") from error
    return [
        Piece(str(shard), _target(folder, number, len(shards)), count)
        for number, (shard, count) in enumerate(zip(shards, counts, strict=True))
    ]


def list_pieces(
    source: str, spool: Path, images_per_shard: int = IMAGES_PER_SHARD
) -> tuple[list[Piece], list[Refusal]]:
    """Lists what an input holds.

    Args:
        source: A folder with TFRecords of our schema, or with a folder of them per split
            (`Split-train`); or what `facezoo.data.sources.list_input` takes, where pictures need
            not lie in a folder of their person.
        spool: File that may be made for pictures that do not lie in files of their own.
        images_per_shard: How many pictures in files go into one piece.

    Returns:
        Pieces of work, and what is known to be of no use.

    Raises:
        ComponentError: There is no such input, it cannot be read, or it holds nothing.
    """
    if pieces := _shards_below(Path(source).expanduser()):
        return pieces, []
    try:
        listing = sources.list_input(source, spool, need_identity=False)
    except sources.SourceError as error:
        raise ComponentError(str(error)) from error
    refs = listing.images
    total = math.ceil(len(refs) / images_per_shard)
    parts = [refs[i * images_per_shard : (i + 1) * images_per_shard] for i in range(total)]
    pieces = [
        Piece(tuple(part), _target(EMBEDDINGS, number, total), len(part), listing.dataset)
        for number, part in enumerate(parts)
    ]
    return pieces, listing.refusals


def _shards_below(folder: Path) -> list[Piece]:
    if not folder.is_dir():
        return []
    if directly := _only_files(folder.glob(_SHARDS)):
        return shard_pieces(directly)
    splits = sorted(path for path in folder.glob("Split-*") if path.is_dir())
    by_split = ((split.name, _only_files(split.glob(_SHARDS))) for split in splits)
    return [piece for name, shards in by_split for piece in shard_pieces(shards, name)]


def _only_files(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.is_file() and path.suffix != _OURS_WHILE_WRITTEN)


def _target(folder: str, number: int, total: int) -> str:
    return os.path.join(folder, f"embeddings-{number:05d}-of-{total:05d}")
