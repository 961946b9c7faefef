"""Reasons to take a person of one set for a person of another: name, picture, face."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.data.near_duplicates import CONFIRM_BITS, find_exact, find_near
from facezoo.data.people_manifest import PeopleManifest
from facezoo.data.person_names import comparable_names
from facezoo.evaluation.person_distances import nearest_person

NAME: Final = "name"
EXACT: Final = "exact"
NEAR: Final = "near"
EMBEDDING: Final = "embedding"
KINDS: Final = (NAME, EXACT, NEAR, EMBEDDING)


@dataclass(frozen=True)
class Evidence:
    """One reason to take a person of the test for one of the training.

    Args:
        kind: `"name"`, `"exact"`, `"near"` or `"embedding"`.
        train_set: Name of the training set.
        train_person: Name in it.
        test_person: Name in the test set.
        distance: Bits that differ (exact, near) or squared L2 distance of the mean embeddings;
            None for a name.
        limit: Up to which distance this is evidence; None for a name.
        train_file: The picture that shows it best.
        test_file: Likewise.
        num_images: Pictures of the test person that are equal or nearly so; 0 for other kinds.
    """

    kind: str
    train_set: str
    train_person: str
    test_person: str
    distance: float | None
    limit: float | None
    train_file: str
    test_file: str
    num_images: int = 0


def by_name(train: PeopleManifest, test: PeopleManifest) -> Iterator[Evidence]:
    """Yields everybody whose name is in both sets, as `comparable_names` compares them."""
    known, wanted = comparable_names(train.people), comparable_names(test.people)
    for form in sorted(known.keys() & wanted.keys()):
        for train_person in known[form]:
            for test_person in wanted[form]:
                files = train.files_of(train_person)[0], test.files_of(test_person)[0]
                yield Evidence(NAME, train.name, train_person, test_person, None, None, *files)


def by_picture(train: PeopleManifest, test: PeopleManifest) -> Iterator[Evidence]:
    """Yields couples with equal pictures, then those with near-duplicates.

    Every picture of the test counts once, by the training picture nearest to it.
    """
    exact = find_exact(test.hashes, train.hashes)
    yield from _twins(EXACT, train, test, exact, np.zeros(len(exact), np.int64))
    near, bits = find_near(test.hashes, train.hashes)
    yield from _twins(NEAR, train, test, np.where(exact < 0, near, -1), bits)


def _twins(
    kind: str,
    train: PeopleManifest,
    test: PeopleManifest,
    index: NDArray[np.int64],
    bits: NDArray[np.int64],
) -> Iterator[Evidence]:
    couples: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero(index >= 0).tolist():
        couple = int(train.person[index[row]]), int(test.person[row])
        couples.setdefault(couple, []).append(row)
    for (train_person, test_person), rows in couples.items():
        best = min(rows, key=bits.__getitem__)
        yield Evidence(
            kind,
            train.name,
            train.people[train_person],
            test.people[test_person],
            float(bits[best]),
            0.0 if kind == EXACT else float(CONFIRM_BITS),
            train.file[index[best]],
            test.file[best],
            len(rows),
        )


def by_face(
    train: PeopleManifest, test: PeopleManifest, limit: NDArray[np.floating]
) -> Iterator[Evidence]:
    """Yields the training person nearest to each person of the test, where within the limit.

    Args:
        train: With embeddings.
        test: With embeddings of the same model.
        limit: Squared L2 distance up to which faces are evidence, for each person of the test.
    """
    distance, nearest = nearest_person(test.mean_embedding, train.mean_embedding)
    for person in np.flatnonzero(distance <= limit).tolist():
        found = int(nearest[person])
        yield Evidence(
            EMBEDDING,
            train.name,
            train.people[found],
            test.people[person],
            float(distance[person]),
            float(limit[person]),
            *_nearest_files(train, found, test, person),
        )


def _nearest_files(
    train: PeopleManifest, train_person: int, test: PeopleManifest, test_person: int
) -> tuple[str, str]:
    """The two pictures nearest to each other; the first ones where only means are known."""
    rows = np.flatnonzero(train.person == train_person)
    columns = np.flatnonzero(test.person == test_person)
    row, column = 0, 0
    if train.embedding is not None and test.embedding is not None:
        cosine = train.embedding[rows] @ test.embedding[columns].T
        row, column = np.unravel_index(int(cosine.argmax()), cosine.shape)
    return train.file[rows[row]], test.file[columns[column]]
