"""Seconds and memory of a search of people among themselves, beside faiss' exact index.

    python -m tests.benchmarks.duplicate_search --identities=10000,50000,100000,200000 --turns=3

Both search the same class centres for the nearest of each, on all cores, each in a process of its
own, in turns; a figure is the median of all turns. Seconds are those on the clock, CPU seconds
those of all cores together, which other programs on the machine disturb less. Memory is the most
that the process held; a third of a GiB and more is the library's, once. Without faiss-cpu installed
its columns are left out. `same` is the share of places that both fill alike.
"""

import importlib.util
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import app, flags

_IDENTITIES = flags.DEFINE_list("identities", ["100000"], "How many people; several make a table.")
_DIM = flags.DEFINE_integer("dim", 512, "Length of an embedding.")
_K = flags.DEFINE_integer("k", 10, "Neighbours to find, besides oneself.")
_TURNS = flags.DEFINE_integer("turns", 3, "Turns of each.")

Search = Callable[[np.ndarray, int], np.ndarray]
_KIB_PER_MIB = 1024


def _facezoo() -> Search:
    from facezoo.metrics import nearest

    return lambda centers, k: nearest(centers, centers, k)[1]


def _faiss() -> Search:
    import faiss

    faiss.omp_set_num_threads(os.cpu_count() or 1)

    def search(centers: np.ndarray, k: int) -> np.ndarray:
        index = faiss.IndexFlatIP(centers.shape[1])
        index.add(centers)
        return index.search(centers, k)[1]

    return search


_SEARCHES = {"nearest": _facezoo, "faiss": _faiss}


def _run(name: str, num: int, dim: int, k: int, path: str) -> dict[str, float]:
    """Searches in this process, writes the neighbours, and returns what it took."""
    search = _SEARCHES[name]()
    centers = np.random.default_rng(0).standard_normal((num, dim), dtype=np.float32)
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    search(centers[:100], k)
    start, cpu = time.perf_counter(), time.process_time()
    found = search(centers, k)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    np.save(path, found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"s": seconds, "CPU s": cpu, "MiB": peak / _KIB_PER_MIB}


def main(arguments: list[str]) -> None:
    """Prints one table row per number of people."""
    del arguments
    names = ["nearest", *(["faiss"] if importlib.util.find_spec("faiss") else [])]
    print(f"x {_DIM.value}, k = {_K.value}, {os.cpu_count()} cores")
    context = multiprocessing.get_context("spawn")
    for num in map(int, _IDENTITIES.value):
        taken = {name: [] for name in names}
        with tempfile.TemporaryDirectory() as folder:
            path = {name: str(Path(folder, f"{name}.npy")) for name in names}
            for _ in range(_TURNS.value):
                for name in names:
                    with context.Pool(1) as pool:
                        one = (name, num, _DIM.value, _K.value + 1, path[name])
                        taken[name].append(pool.apply(_run, one))
            found = {name: np.load(path[name]) for name in names}
        print(_row(num, taken, found), flush=True)


def _row(num: int, taken: dict[str, list[dict[str, float]]], found: dict[str, np.ndarray]) -> str:
    median = {
        name: {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        for name, runs in taken.items()
    }
    parts = [f"{num:>9,}"]
    for name, values in median.items():
        parts.append(f"{name} " + ", ".join(f"{value:.1f} {key}" for key, value in values.items()))
    if "faiss" in median:
        ratios = (f"{median['nearest'][key] / median['faiss'][key]:.2f}" for key in ("s", "CPU s"))
        parts.append(f"ratio {' and '.join(ratios)}")
        parts.append(f"same {np.mean(found['nearest'] == found['faiss']):.5f}")
    return "  |  ".join(parts)


if __name__ == "__main__":
    app.run(main)
