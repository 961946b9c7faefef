"""The Beam stage that embeds pictures with a served model, into files, in the order they came."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.utils.shared import Shared
from numpy.typing import NDArray

from facezoo import serving, shapes
from facezoo.data import images
from facezoo.data.references import Refusal
from facezoo.serving import ServedModel
from facezoo.serving.signatures import VALID
from pipelines.beam_errors import naming, one_clear_line
from pipelines.component import ComponentError, Context
from pipelines.examples_folder import QUARANTINE_FILE, read_quarantine, write_quarantine
from pipelines.inference_files import SINKS, Sink, count_rows
from pipelines.inference_input import Picture, Piece
from pipelines.json_files import write_json

FACTS_FILE: Final = "inference.json"
# Of what a served model says of itself, what tells which embeddings may be compared.
_FACTS: Final = ("name", "model", "preprocessing", "distance", "alignment")


@dataclass(frozen=True)
class InferenceOptions:
    """How pictures are embedded.

    Args:
        format: Of the files: `"tfrecord"` or `"parquet"`.
        batch_size: Images embedded at once, at least 1.

    Raises:
        ValueError: A value is out of range.
    """

    format: str = "tfrecord"
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.format not in SINKS:
            raise ValueError(f"format must be one of {', '.join(SINKS)}. Received: {self.format}.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {self.batch_size}.")


class Embedded(NamedTuple):
    """What became of a batch: the pictures that were embedded, their rows, and the others."""

    pictures: list[Picture]
    embedding: NDArray[np.float32]
    norm: NDArray[np.float32]
    refusals: list[Refusal]


def embed_batch(pictures: Sequence[Picture], served: ServedModel) -> Embedded:
    """Embeds one batch.

    The model decodes what TensorFlow can. A picture it refuses is tried once more as `normalize`
    leaves it, which knows more kinds of files and says what is wrong with the rest.
    """
    answer = served.embed_bytes([picture.encoded for picture in pictures])
    valid = answer[VALID].copy()
    found = {name: answer[name].copy() for name in (shapes.EMBEDDING, shapes.NORM)}
    refusals, mended = [], {}
    for row in np.flatnonzero(~valid):
        try:
            mended[row] = images.normalize(pictures[row].encoded).encoded
        except images.UnreadableImage as error:
            refusals.append(Refusal(pictures[row].filename, str(error)))
    if mended:
        rows, again = list(mended), served.embed_bytes(list(mended.values()))
        valid[rows] = again[VALID]
        for name, values in found.items():
            values[rows] = again[name]
        refusals += [
            Refusal(pictures[row].filename, "the served model cannot decode it")
            for row in rows
            if not valid[row]
        ]
    kept = [picture for picture, is_kept in zip(pictures, valid, strict=True) if is_kept]
    return Embedded(kept, *(values[valid] for values in found.values()), refusals)


def embedding_dim(served: ServedModel) -> int:
    """Returns how many numbers an embedding has."""
    return served.embed_bytes([])[shapes.EMBEDDING].shape[1]


def model_facts(served: ServedModel) -> dict[str, Any]:
    """Returns what tells which embeddings may be compared with those of this model."""
    return {name: served.info[name] for name in _FACTS}


class EmbedPiece(beam.DoFn):
    """A piece of work -> its file, and the pictures that are not in it.

    Args:
        model_dir: Folder of the SavedModel.
        shared: One model for all copies of this DoFn in a process.
        folder: Where the files go.
        options: See `InferenceOptions`.
    """

    def __init__(
        self, model_dir: Path, shared: Shared, folder: Path, options: InferenceOptions
    ) -> None:
        self._model_dir = model_dir
        self._shared = shared
        self._folder = folder
        self._options = options

    def setup(self) -> None:
        self._served = self._shared.acquire(lambda: serving.load(self._model_dir))

    def process(self, piece: Piece) -> Iterator[Refusal]:
        sink_type = SINKS[self._options.format]
        path = self._folder / (piece.target + sink_type.SUFFIX)
        facts, dim = model_facts(self._served), embedding_dim(self._served)
        with naming(path), sink_type(path, facts, dim) as sink:
            batch: list[Picture] = []
            for picture in piece.pictures():
                if isinstance(picture, Refusal):
                    yield picture
                    continue
                batch.append(picture)
                if len(batch) == self._options.batch_size:
                    yield from self._write(batch, sink)
                    batch = []
            if batch:
                yield from self._write(batch, sink)

    def _write(self, batch: Sequence[Picture], sink: Sink) -> list[Refusal]:
        found = embed_batch(batch, self._served)
        if found.pictures:
            sink.write(found.pictures, found.embedding, found.norm)
        return found.refusals


def infer(
    work: tuple[Sequence[Piece], Sequence[Refusal]],
    model_dir: Path,
    folder: Path,
    options: InferenceOptions,
    context: Context,
) -> dict[str, int]:
    """Embeds pictures with a SavedModel.

    No batch spans two pieces, so that the same input gives the same bytes under every runner.

    Args:
        work: Pieces, and what is known to be of no use.
        model_dir: Folder of the SavedModel.
        folder: Exists. Gets a file for each piece, `quarantine.csv` (path, reason) and
            `inference.json` (the model and the counts).
        options: See `InferenceOptions`.
        context: What the runner lends.

    Returns:
        `found`, `embedded` and `quarantined`.

    Raises:
        ComponentError: The model cannot be loaded, a file cannot be read or written, or pictures
            got lost on the way.
    """
    pieces, refusals = work
    shared = Shared()
    try:
        # Held until the end: an in-process worker takes this one.
        served = shared.acquire(lambda: serving.load(model_dir))
    except ValueError as error:
        raise ComponentError(str(error)) from error
    for parent in {(folder / piece.target).parent for piece in pieces}:
        parent.mkdir(parents=True, exist_ok=True)
    embed = EmbedPiece(model_dir, shared, folder, options)
    with one_clear_line("BulkInferrer"), context.beam_pipeline() as pipeline:
        known = pipeline | "Refused" >> beam.Create(refusals)
        # Create spreads its elements over the workers by itself.
        refused = pipeline | "Pieces" >> beam.Create(pieces) | "Embed" >> beam.ParDo(embed)
        _ = (
            (known, refused)
            | "Quarantine" >> beam.Flatten()
            | "AllRows" >> beam.combiners.ToList()
            | "WriteRows" >> beam.Map(write_quarantine, str(folder / QUARANTINE_FILE))
        )
    counts = _count(work, folder, options.format)
    facts = {"model": model_facts(served), "format": options.format, "counts": counts}
    write_json(folder / FACTS_FILE, {**facts, "embedding_dim": embedding_dim(served)})
    return counts


def _count(
    work: tuple[Sequence[Piece], Sequence[Refusal]], folder: Path, kind: str
) -> dict[str, int]:
    """Reads back what was written.

    Raises:
        ComponentError: What went in did not come out.
    """
    pieces, refusals = work
    suffix = SINKS[kind].SUFFIX
    counts: Mapping[str, int] = {
        "found": sum(piece.num_found for piece in pieces) + len(refusals),
        "embedded": sum(count_rows(folder / (piece.target + suffix), kind) for piece in pieces),
        "quarantined": len(read_quarantine(folder / QUARANTINE_FILE)),
    }
    if counts["found"] != counts["embedded"] + counts["quarantined"]:
        raise ComponentError(
            f"Pictures were lost or doubled: {counts['found']} went in, {counts['embedded']} were "
            f"embedded and {counts['quarantined']} refused. Run again with --runner=DirectRunner "
            "and without --direct_running_mode."
        )
    return dict(counts)
