"""Plants noise in clean data and remembers the truth, so that rules can be scored by it."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.curation.faces import Faces, Person
from facezoo.data.near_duplicates import PictureHashes

# What the second half of a split person is called after the first.
_OTHER_HALF = " (2)"


@dataclass(frozen=True, eq=False)
class PlantedNoise:
    """Labels with noise in them, and what is wrong with them.

    Args:
        label: int32 [N], whom each picture is now said to show.
        rows: int64 [M], ascending: pictures that are not what they are said to be.
        couples: int32 [K, 2], labels that are one person.
    """

    label: NDArray[np.int32]
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    couples: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))


def split_people(
    label: ArrayLike, min_images: int = 5, num_people: int | None = None, seed: int = 0
) -> PlantedNoise:
    """Makes two of one: random halves of somebody's pictures become two people.

    Args:
        label: int [N], from 0 to P - 1.
        min_images: Pictures that either half has at least, 1 or more.
        num_people: How many are split, drawn among those with enough pictures; None for all.
        seed: Decides who, and which pictures.

    Returns:
        Those whose halves are new people get labels from P on; with an odd number of pictures
        the old half has one more. No row counts as wrong: every half is one person's.

    Raises:
        ValueError: Fewer than `num_people` have enough pictures, or a number is out of range.

    Example:
        >>> split_people([0, 0, 0, 0, 1], min_images=2).couples.tolist()
        [[0, 2]]
    """
    label, num_labels = _check_labels(label)
    if min_images < 1:
        raise ValueError(f"min_images must be 1 or more. Received: {min_images}.")
    able = np.flatnonzero(np.bincount(label) >= 2 * min_images)
    num_people = len(able) if num_people is None else num_people
    if not 1 <= num_people <= len(able):
        raise ValueError(
            f"num_people must be from 1 to {len(able)}, the people with {2 * min_images} pictures "
            f"or more. Received: {num_people}."
        )
    rng = np.random.default_rng(seed)
    split = np.sort(rng.choice(able, num_people, replace=False))
    for new, old in enumerate(split, start=num_labels):
        rows = rng.permutation(np.flatnonzero(label == old))
        label[rows[: len(rows) // 2]] = new
    other = num_labels + np.arange(num_people)
    return PlantedNoise(label, couples=np.stack([split, other], axis=1).astype(np.int32))


def flip_labels(label: ArrayLike, share: float, seed: int = 0) -> PlantedNoise:
    """Gives pictures to other people, each of whom is as likely as the next.

    Everybody keeps one picture of their own: a person of whom nothing is left cannot be found.

    Args:
        label: int [N], from 0 to P - 1; two people or more.
        share: Of the pictures, in (0, 1); so many, rounded, are wrong afterwards.
        seed: Decides which, and whose they become.

    Raises:
        ValueError: There is one person only, or the share is out of range or leaves somebody
            without a picture.

    Example:
        >>> flip_labels([0, 0, 1, 1], share=0.5).rows.size
        2
    """
    label, num_labels = _check_labels(label)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(label))
    _, kept = np.unique(label[order], return_index=True)
    free = np.delete(order, kept)
    num_rows = _number_of(share, len(label))
    if num_labels < 2 or num_rows > len(free):
        raise ValueError(
            "Flipping takes two people or more, and leaves each a picture. Received: "
            f"{num_labels} people with {len(label)} pictures, {num_rows} of them to be flipped."
        )
    rows = np.sort(free[:num_rows])
    # One of the others: counted on from the person's own label, round to the one before it.
    label[rows] = (label[rows] + rng.integers(1, num_labels, num_rows)) % num_labels
    return PlantedNoise(label, rows)


def add_outliers(label: ArrayLike, num_outliers: int, seed: int = 0) -> PlantedNoise:
    """Gives pictures from outside, of strangers or of no face, to people inside.

    Args:
        label: int [N], from 0 to P - 1.
        num_outliers: 1 or more.
        seed: Decides whose they become; everybody is as likely as the next.

    Returns:
        Of N + `num_outliers` pictures; the outliers come last.

    Raises:
        ValueError: A number is out of range.
    """
    label, num_labels = _check_labels(label)
    if num_outliers < 1:
        raise ValueError(f"num_outliers must be 1 or more. Received: {num_outliers}.")
    given = np.random.default_rng(seed).integers(0, num_labels, num_outliers)
    rows = np.arange(len(label), len(label) + num_outliers)
    return PlantedNoise(np.append(label, given).astype(np.int32), rows)


def choose_pictures(label: ArrayLike, share: float, seed: int = 0) -> PlantedNoise:
    """Chooses pictures that are to be spoiled, such as blurred; labels stay right.

    Args:
        label: int [N], from 0 to P - 1.
        share: Of the pictures, in (0, 1).
        seed: Decides which.

    Raises:
        ValueError: The share is out of range.
    """
    label, _ = _check_labels(label)
    num_rows = _number_of(share, len(label))
    rows = np.random.default_rng(seed).choice(len(label), num_rows, replace=False)
    return PlantedNoise(label, np.sort(rows))


def plant_noise(faces: Faces, noise: PlantedNoise, outsiders: Faces | None = None) -> Faces:
    """Returns the faces under the noisy labels.

    Args:
        faces: What the noise was made for.
        noise: Its first N labels are of these faces.
        outsiders: The faces of `add_outliers`, in their order; of the same model, their files
            of other names.

    Raises:
        ValueError: The numbers of pictures do not fit, or as `Faces`.
    """
    num_images = faces.num_images + (outsiders.num_images if outsiders else 0)
    if len(noise.label) != num_images:
        raise ValueError(
            f"The noise must be of the {num_images} pictures. Received: {len(noise.label)}."
        )
    halves = (faces.people[old] for old, _ in noise.couples)
    people = *faces.people, *(Person(one.dataset, one.identity + _OTHER_HALF) for one in halves)
    if outsiders is None:
        return replace(faces, people=people, label=noise.label)
    hashes = [one.hashes for one in (faces, outsiders)]
    return Faces(
        people,
        noise.label,
        (*faces.file, *outsiders.file),
        np.concatenate([faces.embedding, outsiders.embedding]),
        np.concatenate([faces.norm, outsiders.norm]),
        None if None in hashes else PictureHashes.concatenate(hashes),
        faces.witness,
    )


def _check_labels(label: ArrayLike) -> tuple[NDArray[np.int32], int]:
    """Returns a copy that may be written to, and P."""
    given = np.asarray(label)
    if given.ndim != 1 or given.size == 0 or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(
            f"label must be int [N], one picture or more. Received: {given.dtype} {given.shape}."
        )
    if given.min() < 0 or (missing := np.flatnonzero(np.bincount(given) == 0)).size:
        what = "a negative one" if given.min() < 0 else f"none of {missing[0]}"
        raise ValueError(f"label must hold all numbers from 0 to P - 1. Received: {what}.")
    return given.astype(np.int32), int(given.max()) + 1


def _number_of(share: float, num_images: int) -> int:
    number = round(share * num_images) if 0.0 < share < 1.0 else 0
    if number < 1:
        raise ValueError(
            f"share must be in (0, 1), and be a picture or more of {num_images}. Received: {share}."
        )
    return number
