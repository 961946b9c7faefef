"""The Beam stage that counts the distances of all pairs of large sets, block by block."""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np

from facezoo.metrics import DistanceHistogram, LabelledRows, PairMatrix
from pipelines.component import ComponentError

Block = tuple[str, int]


def write_split(path: Path, rows: LabelledRows, columns: LabelledRows) -> None:
    """Writes a split where every worker can read it: rows and columns, all pairs of which count."""
    np.savez(
        path,
        row_embedding=rows.embedding,
        row_label=rows.label,
        column_embedding=columns.embedding,
        column_label=columns.label,
    )


# A worker gets many blocks of one split, mostly one after the other.
@functools.lru_cache(maxsize=1)
def read_split(path: str) -> PairMatrix:
    """Reads what `write_split` wrote."""
    with np.load(path) as file:
        rows = LabelledRows(file["row_embedding"], file["row_label"])
        return PairMatrix(rows, LabelledRows(file["column_embedding"], file["column_label"]))


def list_blocks(path: str, tiles_per_block: int) -> Iterator[Block]:
    """Yields the first tile of each block of a split."""
    for start in range(0, len(read_split(path).tiles()), tiles_per_block):
        yield path, start


def count_block(block: Block, tiles_per_block: int) -> tuple[str, DistanceHistogram]:
    """Counts the pairs of one block."""
    path, start = block
    matrix = read_split(path)
    return path, matrix.histogram(matrix.tiles()[start : start + tiles_per_block])


class MergeHistograms(beam.CombineFn):
    """Adds histograms: exact, in any order."""

    def create_accumulator(self) -> DistanceHistogram | None:
        # Without a bin: it would have to know how many there are.
        return None

    def add_input(
        self, accumulator: DistanceHistogram | None, element: DistanceHistogram
    ) -> DistanceHistogram:
        return element if accumulator is None else accumulator + element

    def merge_accumulators(
        self, accumulators: Iterable[DistanceHistogram | None]
    ) -> DistanceHistogram | None:
        found = [one for one in accumulators if one is not None]
        return sum(found[1:], found[0]) if found else None

    def extract_output(self, accumulator: DistanceHistogram | None) -> DistanceHistogram | None:
        return accumulator


def check_counted(counted: tuple[str, DistanceHistogram]) -> tuple[str, DistanceHistogram]:
    """Passes a split on if all its pairs were counted, each once.

    Raises:
        ComponentError: Blocks got lost, or came twice.
    """
    path, histogram = counted
    found = int(histogram.genuine.sum() + histogram.impostor.sum())
    expected = read_split(path).num_pairs
    if found != expected:
        raise ComponentError(
            f"Beam lost or repeated blocks: {path} holds {expected:,} pairs, {found:,} were "
            "counted. Use another runner, or report this one to Beam."
        )
    return counted


class CountPairs(beam.PTransform):
    """Path of each split -> (path, histogram of the distances of all its pairs).

    The histogram is the very one that `PairMatrix.histogram` makes, on machines of one kind.

    Args:
        tiles_per_block: Tiles of 512 x 512 pairs that a worker counts at once.

    Raises:
        ValueError: `tiles_per_block` is below 1.
    """

    def __init__(self, tiles_per_block: int = 256) -> None:
        super().__init__()
        if tiles_per_block < 1:
            raise ValueError(f"tiles_per_block must be at least 1. Received: {tiles_per_block}.")
        self._tiles_per_block = tiles_per_block

    def expand(
        self, paths: beam.PCollection[str]
    ) -> beam.PCollection[tuple[str, DistanceHistogram]]:
        return (
            paths
            | "ListBlocks" >> beam.FlatMap(list_blocks, self._tiles_per_block)
            | "Spread" >> beam.Reshuffle()
            | "Count" >> beam.Map(count_block, self._tiles_per_block)
            | "Merge" >> beam.CombinePerKey(MergeHistograms())
            | "Check" >> beam.Map(check_counted)
        )
