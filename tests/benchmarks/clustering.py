"""Seconds and memory of average linkage, beside SciPy's and scikit-learn's.

    python -m tests.benchmarks.clustering --images=13000 --dim=512

All group the same made-up people, each in a process of its own; memory is what that process held at
most, programs and embeddings included. `same` is whether the groups are equal to those of the
first.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable

import numpy as np
from absl import app, flags

from facezoo.metrics import cluster

_IMAGES = flags.DEFINE_integer("images", 13_000, "Images to group.")
_DIM = flags.DEFINE_integer("dim", 512, "Length of an embedding.")
_THRESHOLD = flags.DEFINE_float("threshold", 0.9, "Squared L2 distance.")
# Mean length of what sets a picture apart from its person.
_SPREAD = 0.9
_MEGABYTE = 2**10

Group = Callable[[np.ndarray, float], np.ndarray]


def people(num_images: int, dim: int) -> np.ndarray:
    """Two thirds of the people have one picture, some have very many, as in LFW."""
    random = np.random.default_rng(0)
    num_people = max(1, num_images * 2 // 5)
    share = random.pareto(1.2, num_people) + 0.1
    who = random.choice(num_people, num_images, p=share / share.sum())
    centers = random.standard_normal((num_people, dim), dtype=np.float32)
    noise = random.standard_normal((num_images, dim), dtype=np.float32)
    embedding = centers[who] + _SPREAD * noise
    return embedding / np.linalg.norm(embedding, axis=1, keepdims=True)


def _scipy(embedding: np.ndarray, threshold: float) -> np.ndarray:
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import pdist

    tree = hierarchy.linkage(pdist(embedding, "sqeuclidean"), "average")
    return hierarchy.fcluster(tree, threshold, "distance")


def _sklearn(embedding: np.ndarray, threshold: float) -> np.ndarray:
    from sklearn.cluster import AgglomerativeClustering

    made = AgglomerativeClustering(
        n_clusters=None, distance_threshold=threshold, metric="sqeuclidean", linkage="average"
    )
    return made.fit_predict(embedding)


_GROUPERS: dict[str, Group] = {"facezoo": cluster, "scipy": _scipy, "sklearn": _sklearn}


def _measure(task: tuple[str, int, int, float]) -> tuple[float, float, np.ndarray]:
    name, num_images, dim, threshold = task
    embedding = people(num_images, dim)
    # Imports and threads are there before the clock starts.
    _GROUPERS[name](embedding[:100], threshold)
    start = time.perf_counter()
    found = _GROUPERS[name](embedding, threshold)
    seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEGABYTE, found


def main(arguments: list[str]) -> None:
    """Prints one line per program."""
    del arguments
    task = (_IMAGES.value, _DIM.value, _THRESHOLD.value)
    first = None
    for name in _GROUPERS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, megabytes, found = pool.apply(_measure, ((name, *task),))
        _, number = np.unique(found, return_inverse=True)
        first = first or (seconds, number)
        pairs = np.unique(np.stack([first[1], number]), axis=1).shape[1]
        same = pairs == number.max() + 1 == first[1].max() + 1
        print(
            f"{name:8} {seconds:7.2f} s ({seconds / first[0]:5.1f} times)  {megabytes:6.0f} MB  "
            f"{number.max() + 1} groups, same: {same}"
        )


if __name__ == "__main__":
    app.run(main)
