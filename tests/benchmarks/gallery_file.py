"""What it takes to add a face to a large gallery, and to read it, beside an .npz written anew.

    python -m tests.benchmarks.gallery_file --faces=1000000 --dim=128

Both end with the content on the disk. An .npz has no way to add a row but to be written as a whole;
here it holds names and embeddings alone.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import app, flags

from facezoo.gallery import Binding, Entry, Gallery, Picture, picture_digest

_FACES = flags.DEFINE_integer("faces", 1_000_000, "Pictures in the gallery.")
_DIM = flags.DEFINE_integer("dim", 128, "Length of an embedding.")
_TURNS = flags.DEFINE_integer("turns", 3, "Turns of each.")
_AT_ONCE = 50_000


def _entry(number: int, embedding: np.ndarray) -> Entry:
    source = f"p{number // 10}/{number}.jpg"
    picture = Picture(f"person {number // 10}", source, picture_digest(source.encode()), "/people")
    return Entry(picture, embedding)


def _save(path: Path, names: np.ndarray, embedding: np.ndarray) -> None:
    aside = path.with_suffix(".partial")
    with open(aside, "wb") as file:
        np.savez(file, names=names, embedding=embedding)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def _load(path: Path) -> int:
    with np.load(path) as archive:
        return len(archive["names"]) + len(archive["embedding"])


def _seconds(work: Callable[[int], object]) -> float:
    times = []
    for turn in range(_TURNS.value):
        start = time.perf_counter()
        work(turn)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(arguments: list[str]) -> None:
    """Prints a line for each."""
    del arguments
    random, count = np.random.default_rng(0), _FACES.value
    embedding = random.standard_normal((count, _DIM.value), dtype=np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    names = np.array([f"p{number // 10}/{number}.jpg" for number in range(count)])
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery.create(Path(folder, "faces.gallery"), Binding("1", "2"), _DIM.value)
        start = time.perf_counter()
        for first in range(0, count, _AT_ONCE):
            rows = range(first, min(first + _AT_ONCE, count))
            gallery.enrol(_entry(row, embedding[row]) for row in rows)
        fill = time.perf_counter() - start
        archive = Path(folder, "faces.npz")
        costs = {
            "gallery": (
                _seconds(lambda turn: gallery.enrol([_entry(count + turn, embedding[turn])])),
                _seconds(lambda turn: gallery.faces()),
                gallery.path.stat().st_size,
            ),
            "npz": (
                _seconds(lambda turn: _save(archive, names, embedding)),
                _seconds(lambda turn: _load(archive)),
                archive.stat().st_size,
            ),
        }
    print(f"{count:,} x {_DIM.value}; the gallery was filled in {fill:.1f} s")
    for name, (add, read, size) in costs.items():
        print(f"{name:<8} add one {add:8.4f} s  read {read:6.2f} s  {size / 2**20:7.0f} MiB")
    print(f"adding one: npz / gallery = {costs['npz'][0] / costs['gallery'][0]:.0f}")


if __name__ == "__main__":
    app.run(main)
