"""Seconds and memory of counting all pairs of a set, beside the product of matrices alone.

    python -m tests.benchmarks.verification_pairs --rows=45000 --dim=512
    python -m tests.benchmarks.verification_pairs --rows=100000 --columns=100000 --dim=128

`product` multiplies the tiles, in as many threads of one BLAS thread each; `blas` multiplies them
one by one and leaves the threads to BLAS; `count` makes a histogram of their distances. They take
turns every few hundred tiles, so that what else the machine does falls on all of them, and each
goes first as often as the next. Memory is the highest of the process, with the embeddings in it.
"""

import resource
import time
from collections.abc import Iterable

import numpy as np
from absl import app, flags

from facezoo.metrics import DistanceHistogram, LabelledRows, PairMatrix
from facezoo.metrics.pair_counts import SIDE, Tile
from facezoo.metrics.threads import share_tiles

_ROWS = flags.DEFINE_integer("rows", 45_000, "Images of one set.")
_COLUMNS = flags.DEFINE_integer("columns", 0, "Images of the other; 0 for one set with itself.")
_DIM = flags.DEFINE_integer("dim", 512, "Length of an embedding.")
_PEOPLE = flags.DEFINE_integer("people", 5_000, "People.")
_TURN = flags.DEFINE_integer("turn", 256, "Tiles of a turn.")


def _labelled(num: int, seed: int) -> LabelledRows:
    random = np.random.default_rng(seed)
    embedding = random.standard_normal((num, _DIM.value), dtype=np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    return LabelledRows.sort(embedding, random.integers(0, _PEOPLE.value, num))


def _multiply(matrix: PairMatrix, tiles: Iterable[Tile]) -> None:
    product = np.empty(SIDE**2, np.float32)
    for tile in tiles:
        row, column = matrix.embeddings(tile)
        out = product[: len(row) * len(column)].reshape(len(row), len(column))
        np.matmul(row, column.T, out=out)


def main(arguments: list[str]) -> None:
    """Prints one line per kind of work."""
    del arguments
    columns = _labelled(_COLUMNS.value, seed=1) if _COLUMNS.value else None
    matrix = PairMatrix(_labelled(_ROWS.value, seed=0), columns)
    tiles, histogram = matrix.tiles(), DistanceHistogram.empty()
    kinds = {
        "product": lambda some: share_tiles(lambda queue: _multiply(matrix, queue), some),
        "blas": lambda some: _multiply(matrix, some),
        "count": matrix.histogram,
    }
    seconds = dict.fromkeys(kinds, 0.0)
    for turn, start in enumerate(range(0, len(tiles), _TURN.value)):
        names = list(kinds)[turn % 3 :] + list(kinds)[: turn % 3]
        for name in names:
            begin = time.perf_counter()
            found = kinds[name](tiles[start : start + _TURN.value])
            seconds[name] += time.perf_counter() - begin
            if name == "count":
                histogram += found
    num_counted = int(histogram.genuine.sum() + histogram.impostor.sum())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    fastest = min(seconds["product"], seconds["blas"])
    print(f"{num_counted:,} of {matrix.num_pairs:,} pairs of {_DIM.value}, {memory:.0f} MiB")
    for name, value in seconds.items():
        print(f"{name:8} {value:7.2f} s ({value / fastest:.2f})")


if __name__ == "__main__":
    app.run(main)
