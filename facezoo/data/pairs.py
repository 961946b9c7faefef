"""All pairs of a set of embeddings, and folds of people: exact counts, bounded memory; NumPy."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Pairs held at once while distances are computed: 32 MiB of float64.
_PAIRS_PER_BLOCK = 2**22

Pairs = tuple[NDArray, NDArray]


def count_pairs(label: NDArray) -> dict[str, int]:
    """Counts people, images and pairs.

    Args:
        label: int [N], the person of each image.

    Returns:
        `num_identities`, `num_images`, `num_genuine` and `num_impostor`; a pair counts once.
    """
    _, images = np.unique(label, return_counts=True)
    num_images = int(images.sum())
    num_genuine = int((images * (images - 1) // 2).sum())
    return {
        "num_identities": len(images),
        "num_images": num_images,
        "num_genuine": num_genuine,
        "num_impostor": num_images * (num_images - 1) // 2 - num_genuine,
    }


def all_pairs(embedding: NDArray, label: NDArray) -> Pairs:
    """Squared L2 distance of every two embeddings, by kind of pair.

    Args:
        embedding: float [N, D]; unit length gives distances in [0, 4].
        label: int [N], the person of each row.

    Returns:
        `(genuine float32 [G], impostor float32 [I])`, in the order of `pair_indices`. An image is
        never paired with itself, and no pair comes twice.

    Raises:
        ValueError: The shapes do not fit.

    Numerics:
        |a|^2 - 2ab + |b|^2 in float64, never below 0, then rounded to float32.
    """
    embedding, label = np.asarray(embedding, dtype=np.float64), np.asarray(label)
    if embedding.ndim != 2 or label.shape != embedding.shape[:1]:
        raise ValueError(
            "embedding must be [N, D] and label [N]. "
            f"Received: embedding {embedding.shape}, label {label.shape}."
        )
    counts = count_pairs(label)
    distances = tuple(
        np.empty(counts[kind], dtype=np.float32) for kind in ("num_genuine", "num_impostor")
    )
    squared = np.sum(embedding**2, axis=1)
    filled = [0, 0]
    for rows, masks in _blocks(label):
        product = embedding[rows] @ embedding.T
        block = np.maximum(squared[rows, None] - 2.0 * product + squared, 0.0)
        for kind, mask in enumerate(masks):
            found = block[mask]
            distances[kind][filled[kind] : filled[kind] + len(found)] = found
            filled[kind] += len(found)
    return distances


def pair_indices(label: NDArray) -> Pairs:
    """Which two images make each pair.

    Args:
        label: int [N], the person of each image.

    Returns:
        `(genuine int [G, 2], impostor int [I, 2])`: rows (i, j) with i < j, ascending.
    """
    found: tuple[list[NDArray], list[NDArray]] = ([], [])
    for rows, masks in _blocks(np.asarray(label)):
        for kind, mask in enumerate(masks):
            found[kind].append(np.argwhere(mask) + (rows.start, 0))
    return tuple(np.concatenate([np.empty((0, 2), int), *blocks]) for blocks in found)


def _blocks(label: NDArray) -> Iterator[tuple[slice, Pairs]]:
    """Yields slices of rows, each with its masks of genuine and impostor pairs, bool [rows, N]."""
    num_images = len(label)
    step = max(1, _PAIRS_PER_BLOCK // max(1, num_images))
    for start in range(0, num_images, step):
        rows = slice(start, min(start + step, num_images))
        later = np.arange(num_images) > np.arange(rows.start, rows.stop)[:, None]
        same = label[rows, None] == label
        yield rows, (later & same, later & ~same)


def most_folds(label: NDArray) -> int:
    """How many folds of people can be made that each hold both kinds of pairs.

    Args:
        label: int [N], the person of each image.

    Returns:
        The number of people with two images or more, but not over half the number of people.
    """
    _, images = np.unique(label, return_counts=True)
    return min(len(images) // 2, int(np.count_nonzero(images > 1)))


def identity_folds(label: NDArray, num_folds: int) -> NDArray[np.int64]:
    """Deals people into folds, so that a threshold can be chosen on some and tested on others.

    Whoever has the most images is dealt first, then by label, so that every fold holds at least
    two people and a genuine pair: both kinds of pairs exist wholly inside each fold.

    Args:
        label: int [N], the person of each image.
        num_folds: 2 to `most_folds(label)`.

    Returns:
        The fold of each image, int [N], from 0.

    Raises:
        ValueError: The people do not suffice for so many folds.
    """
    most = most_folds(label)
    if not 2 <= num_folds <= most:
        raise ValueError(
            f"num_folds must be from 2 to {most}, because each fold takes two people, one of them "
            f"with two images. Received: num_folds={num_folds}."
        )
    identities, index, images = np.unique(label, return_inverse=True, return_counts=True)
    fold = np.empty(len(identities), dtype=np.int64)
    fold[np.argsort(-images, kind="stable")] = np.arange(len(identities)) % num_folds
    return fold[index]
