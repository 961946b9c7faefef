"""What the indexes of a gallery cost and find, side by side.

    python -m tests.benchmarks.gallery_search --faces=1000000 --probes=1000 --dim=128

Made-up people with ten pictures each; half of the probes are one more picture of somebody, half are
of strangers. Each index searches the same, in turns; `seconds` is the median, `ratio` that of the
exact index divided by it. `memory` is what the process holds more once the index stands. `recall`
is the share of the exact index's k nearest that is found, `first` that of its very nearest, of
probes of known people, and `same` the share of probes with the same rows and distances throughout.
"""

import statistics
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from facezoo.gallery.index import EXACT, INDEXES, make_index

_FACES = flags.DEFINE_integer("faces", 1_000_000, "Pictures in the gallery.")
_PROBES = flags.DEFINE_integer("probes", 1_000, "Pictures to look for.")
_DIM = flags.DEFINE_integer("dim", 128, "Length of an embedding.")
_K = flags.DEFINE_integer("k", 10, "Neighbours to find.")
_TURNS = flags.DEFINE_integer("turns", 3, "Turns of each.")

_PICTURES_EACH = 10
# Two pictures of a person are at a squared distance of .6, two people at 2.
_NOISE = 0.65


def _pictures(random: np.random.Generator, center: np.ndarray) -> np.ndarray:
    embedding = center + np.float32(_NOISE) * _people(random, len(center))
    return embedding / np.linalg.norm(embedding, axis=1, keepdims=True)


def _people(random: np.random.Generator, count: int) -> np.ndarray:
    length = np.float32(np.sqrt(_DIM.value))
    return random.standard_normal((count, _DIM.value), dtype=np.float32) / length


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def main(arguments: list[str]) -> None:
    """Prints one line per index."""
    del arguments
    random = np.random.default_rng(0)
    people = _people(random, _FACES.value // _PICTURES_EACH)
    faces = _pictures(random, np.repeat(people, _PICTURES_EACH, axis=0))
    strangers = _people(random, _PROBES.value - _PROBES.value // 2)
    num_known = _PROBES.value // 2
    known = people[random.integers(0, len(people), num_known)]
    probe = _pictures(random, np.concatenate([known, strangers]))
    indexes, build, memory = {}, {}, {}
    for kind in INDEXES:
        before, start = _resident(), time.perf_counter()
        indexes[kind] = make_index(kind, faces)
        build[kind], memory[kind] = time.perf_counter() - start, _resident() - before
    seconds, found = {kind: [] for kind in indexes}, {}
    for _ in range(_TURNS.value):
        for kind, index in indexes.items():
            start = time.perf_counter()
            found[kind] = index.search(probe, _K.value)
            seconds[kind].append(time.perf_counter() - start)
    median = {kind: statistics.median(times) for kind, times in seconds.items()}
    print(f"{len(probe):,} probes in {len(faces):,} x {_DIM.value}, k = {_K.value}")
    distance, rows = found[EXACT]
    for kind, (near, index) in found.items():
        recall = np.mean(np.any(index[:, :, None] == rows[:, None], axis=1))
        first = np.mean(index[:num_known, 0] == rows[:num_known, 0])
        same = np.mean(np.all((index == rows) & (near == distance), axis=1))
        print(
            f"{kind:<10} build {build[kind]:6.1f} s  memory {memory[kind]:6.0f} MiB  "
            f"seconds {median[kind]:6.3f}  ratio {median[EXACT] / median[kind]:6.2f}  "
            f"recall {recall:.4f}  first {first:.4f}  same {same:.4f}"
        )


if __name__ == "__main__":
    app.run(main)
