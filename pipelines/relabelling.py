"""The Beam stage that carries out a plan: records leave, or get other labels, shard by shard."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray

from facezoo.curation import Cleaned, Faces
from facezoo.data.examples import encode_example, parse_example
from facezoo.data.record_index import RecordIndex
from facezoo.data.records import RecordWriter, index_records, read_records
from facezoo.data.references import Refusal
from pipelines.artifacts import Examples
from pipelines.beam_errors import naming
from pipelines.component import Context
from pipelines.examples_folder import (
    QUARANTINE_FILE,
    read_split,
    set_properties,
    write_contents,
    write_quarantine,
)

LEFT_OUT: Final = -1


class Edit(NamedTuple):
    """What becomes of one record.

    Args:
        label: The new one; -1 leaves the record out.
        identity: The new name; None leaves it as it is.
        reason: Why the record was dropped; "" if it is merely of another set.
    """

    label: int
    identity: str | None = None
    reason: str = ""


class Part(NamedTuple):
    """What is made of Examples.

    Args:
        target: Where it goes; its folder is empty.
        edits: By split, one for each record in order.
    """

    target: Examples
    edits: Mapping[str, Sequence[Edit]]


# What becomes of a shard: from where, to where, and an edit for each record.
Job = tuple[str, str, tuple[Edit, ...]]


def cleaning_edits(faces: Faces, cleaned: Cleaned) -> list[Edit]:
    """Returns what a plan makes of every picture."""
    edits = []
    for row, label in enumerate(cleaned.label.tolist()):
        if label < 0:
            edits.append(Edit(LEFT_OUT, None, f"curation: {cleaned.reason[row]}"))
            continue
        identity = cleaned.people[label].identity
        is_same = identity == faces.person(row).identity
        edits.append(Edit(label, None if is_same else identity))
    return edits


def renumbering_edits(label: NDArray[np.integer], first: int) -> list[Edit]:
    """Returns new labels without gaps, in the order of the old ones, from `first` on."""
    _, number = np.unique(label, return_inverse=True)
    return [Edit(first + one) for one in number.tolist()]


def selecting_edits(edits: Sequence[Edit], rows: NDArray[np.integer]) -> list[Edit]:
    """Leaves out all but some records."""
    chosen = np.zeros(len(edits), bool)
    chosen[rows] = True
    return [edit if is_in else Edit(LEFT_OUT) for edit, is_in in zip(edits, chosen, strict=True)]


class RewriteShard(beam.DoFn):
    """Job -> a shard; yields what was dropped."""

    def process(self, job: Job) -> Iterator[Refusal]:
        source, target, edits = Path(job[0]), Path(job[1]), job[2]
        with naming(target), RecordWriter(target) as writer:
            records = map(parse_example, read_records(source))
            for record, edit in zip(records, edits, strict=True):
                if edit.label != LEFT_OUT:
                    identity = edit.identity or record.identity
                    edited = replace(record, label=edit.label, identity=identity)
                    writer.write(encode_example(edited))
                elif edit.reason:
                    yield Refusal(record.filename, edit.reason)


class RewriteExamples(beam.PTransform):
    """Jobs -> shards and the quarantine list."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def expand(self, jobs: beam.PCollection[Job]) -> beam.PCollection[None]:
        return (
            jobs
            | "Spread" >> beam.Reshuffle()
            | "Rewrite" >> beam.ParDo(RewriteShard())
            | "AllRows" >> beam.combiners.ToList()
            | "WriteRows" >> beam.Map(write_quarantine, str(self._folder / QUARANTINE_FILE))
        )


def rewrite(source: Examples, parts: Sequence[Part], context: Context) -> list[dict[str, int]]:
    """Writes records anew, with all that lies beside shards.

    Args:
        source: In shards, the names and the order of which are kept.
        parts: What is made of it.
        context: What the runner lends.

    Returns:
        The counts of each part, as `write_contents` makes them; records that are merely left out
        do not count.

    Raises:
        ComponentError: What went in did not come out.
    """
    with context.beam_pipeline() as pipeline:
        for number, part in enumerate(parts):
            jobs = [job for split in part.edits for job in _make_jobs(source, part, split)]
            shards = pipeline | f"Shards[{number}]" >> beam.Create(jobs)
            _ = shards | f"Rewrite[{number}]" >> RewriteExamples(part.target.uri)
    return [_complete(*part) for part in parts]


def _make_jobs(source: Examples, part: Part, split: str) -> Iterator[Job]:
    folder = part.target.split_dir(split)
    folder.mkdir()
    rest = iter(part.edits[split])
    for shard in source.shards(split):
        edits = tuple(itertools.islice(rest, len(index_records(shard))))
        yield str(shard), str(folder / shard.name), edits


def _complete(target: Examples, edits: Mapping[str, Sequence[Edit]]) -> dict[str, int]:
    contents = {split: read_split(target, split) for split in edits}
    every = itertools.chain.from_iterable(edits.values())
    found = sum(edit.label != LEFT_OUT or edit.reason != "" for edit in every)
    counts = write_contents(target, contents, found)
    for split in edits:
        RecordIndex.build(target.shards(split), target.index_dir(split))
    set_properties(target, list(edits))
    return counts
