"""Seconds of a search in a large gallery, beside faiss' exact index.

    python -m tests.benchmarks.identification_search --gallery=1000000 --probes=1000 --dim=128

Both search the same embeddings, in turns, on all cores; a time is the median of all turns. Without
faiss-cpu installed its column is left out. `same` is the share of places that both fill alike.
"""

import importlib.util
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from absl import app, flags

from facezoo.metrics import nearest

_GALLERY = flags.DEFINE_integer("gallery", 1_000_000, "Images to search in.")
_PROBES = flags.DEFINE_integer("probes", 1_000, "Images to search for.")
_DIM = flags.DEFINE_integer("dim", 128, "Length of an embedding.")
_K = flags.DEFINE_multi_integer("k", [1, 10], "Neighbours to find.")
_TURNS = flags.DEFINE_integer("turns", 5, "Turns of each.")

Search = Callable[[int], np.ndarray]


def _unit(random: np.random.Generator, num: int) -> np.ndarray:
    embedding = random.standard_normal((num, _DIM.value), dtype=np.float32)
    return embedding / np.linalg.norm(embedding, axis=1, keepdims=True)


def _faiss(probe: np.ndarray, gallery: np.ndarray) -> Search:
    import faiss

    faiss.omp_set_num_threads(os.cpu_count() or 1)
    index = faiss.IndexFlatIP(_DIM.value)
    index.add(gallery)
    return lambda k: index.search(probe, k)[1]


def main(arguments: list[str]) -> None:
    """Prints one line per number of neighbours."""
    del arguments
    random = np.random.default_rng(0)
    gallery, probe = _unit(random, _GALLERY.value), _unit(random, _PROBES.value)
    searches: dict[str, Search] = {"nearest": lambda k: nearest(probe, gallery, k)[1]}
    if importlib.util.find_spec("faiss"):
        searches["faiss"] = _faiss(probe, gallery)
    print(f"{_PROBES.value:,} probes in {_GALLERY.value:,} x {_DIM.value}")
    for k in _K.value:
        seconds, found = {name: [] for name in searches}, {}
        for _ in range(_TURNS.value):
            for name, search in searches.items():
                start = time.perf_counter()
                found[name] = search(k)
                seconds[name].append(time.perf_counter() - start)
        median = {name: statistics.median(times) for name, times in seconds.items()}
        line = "  ".join(f"{name} {value:.2f} s" for name, value in median.items())
        if "faiss" in found:
            same = np.mean(found["nearest"] == found["faiss"])
            line += f"  ratio {median['nearest'] / median['faiss']:.2f}  same {same:.4f}"
        print(f"k = {k:<3} {line}")


if __name__ == "__main__":
    app.run(main)
