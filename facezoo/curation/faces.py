"""What curation knows of faces: whose they are said to be, and what a model makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.data.near_duplicates import PictureHashes
from facezoo.data.people_manifest import PeopleManifest


class Person(NamedTuple):
    """Somebody in a data set.

    Args:
        dataset: Name of the set.
        identity: The person's name in it.
    """

    dataset: str
    identity: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.identity}"


@dataclass(frozen=True, eq=False)
class Faces:
    """Pictures of people as columns: one row for each picture.

    Args:
        people: P different people, each with one picture or more.
        label: int32 [N], the row in `people` of whom each picture is said to show.
        file: The name of each picture, N; unique within a data set.
        embedding: float32 [N, D], unit length.
        norm: float32 [N], length of the features before they were normalised.
        hashes: Of the pictures; None leaves equal and nearly equal pictures unfound.
        witness: Fingerprint of the model that made the embeddings.
        named: Whom each picture shows by its data set, N, where people were merged; None if that
            is `people[label]`.

    Raises:
        ValueError: Columns do not fit each other, embeddings are not finite or not of unit length,
            names are not unique, or a person has no picture.
    """

    people: tuple[Person, ...]
    label: NDArray[np.int32]
    file: tuple[str, ...]
    embedding: NDArray[np.float32]
    norm: NDArray[np.float32]
    hashes: PictureHashes | None = None
    witness: str = ""
    named: tuple[Person, ...] | None = None

    def __post_init__(self) -> None:
        columns = {"label": np.int32, "embedding": np.float32, "norm": np.float32}
        for name, dtype in columns.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype))
        object.__setattr__(self, "people", tuple(Person(*one) for one in self.people))
        object.__setattr__(self, "file", tuple(self.file))
        self._check_columns()
        self._check_people()
        _check_unit(self.embedding)

    @property
    def num_people(self) -> int:
        """P."""
        return len(self.people)

    @property
    def num_images(self) -> int:
        """N."""
        return len(self.label)

    @classmethod
    def of_manifests(cls, manifests: Sequence[PeopleManifest]) -> "Faces":
        """Lays data sets below each other.

        Args:
            manifests: One or more, of different names, with embeddings and norms by one model.

        Raises:
            ValueError: They do not fit each other, or hold no embeddings or no norms.
        """
        _check_manifests(manifests)
        starts = np.cumsum([0, *(len(one.people) for one in manifests)])
        hashes = [one.hashes for one in manifests]
        return cls(
            tuple(Person(one.name, name) for one in manifests for name in one.people),
            np.concatenate(
                [one.person + start for one, start in zip(manifests, starts, strict=False)]
            ),
            tuple(file for one in manifests for file in one.file),
            np.concatenate([one.embedding for one in manifests]),
            np.concatenate([one.norm for one in manifests]),
            PictureHashes.concatenate(hashes),
            manifests[0].witness,
        )

    def person(self, row: int) -> Person:
        """Whom a picture is said to show in its data set, whoever that was merged into."""
        return self.people[self.label[row]] if self.named is None else self.named[row]

    def rows_of_pictures(self) -> dict[tuple[Person, str], int]:
        """Where every picture stands, by whom its data set names and by its file."""
        return {(self.person(row), file): row for row, file in enumerate(self.file)}

    def num_images_of(self) -> NDArray[np.int64]:
        """How many pictures everybody has, int64 [P]."""
        return np.bincount(self.label, minlength=self.num_people)

    def select(self, rows: ArrayLike) -> "Faces":
        """Returns some of the pictures, and the people on them; labels are numbered anew.

        Args:
            rows: int [M], ascending or not, or bool [N].
        """
        rows = np.arange(self.num_images)[np.asarray(rows)]
        kept, label = np.unique(self.label[rows], return_inverse=True)
        return Faces(
            tuple(self.people[row] for row in kept),
            label,
            tuple(self.file[row] for row in rows),
            self.embedding[rows],
            self.norm[rows],
            None if self.hashes is None else self.hashes.take(rows),
            self.witness,
            None if self.named is None else tuple(self.named[row] for row in rows),
        )

    def merge(self, group: ArrayLike) -> "Faces":
        """Returns the same pictures, some people being one.

        Args:
            group: int [P], a row of `people` for each of them: who they are. Nobody else may point
                to somebody who points elsewhere.
        """
        group = np.asarray(group)
        kept, label = np.unique(group[self.label], return_inverse=True)
        return replace(
            self,
            people=tuple(self.people[row] for row in kept),
            label=label,
            named=tuple(map(self.person, range(self.num_images))),
        )

    def _check_columns(self) -> None:
        num_images = len(self.label) if self.label.ndim == 1 else -1
        shapes = (len(self.file), len(self.norm), len(self.embedding))
        if num_images < 1 or set(shapes) != {num_images} or self.embedding.ndim != 2:
            raise ValueError(
                "Faces need a label, a file, a norm and an embedding for each of one picture or "
                f"more. Received: label {self.label.shape}, {len(self.file)} files, norm "
                f"{self.norm.shape}, embedding {self.embedding.shape}."
            )
        if self.hashes is not None and len(self.hashes) != num_images:
            raise ValueError(
                f"hashes must be those of the {num_images} pictures. Received: {len(self.hashes)}."
            )
        if not np.isfinite(self.norm).all() or self.norm.min() < 0:
            raise ValueError("norm must be finite and not negative. Is the model whole?")

    def _check_people(self) -> None:
        if len(set(self.people)) < len(self.people):
            raise ValueError("Everybody in a data set must have a name of their own.")
        if self.label.min() < 0 or self.label.max() >= len(self.people):
            raise ValueError(
                f"label must be a row of the {len(self.people)} people. Received: "
                f"{self.label.min()} to {self.label.max()}."
            )
        if (empty := np.flatnonzero(self.num_images_of() == 0)).size:
            raise ValueError(
                "Everybody must have a picture. Without one are "
                f"{empty.size} of {len(self.people)} people, the first {self.people[empty[0]]}. "
                "Leave them out."
            )
        keys = {(self.person(row).dataset, file) for row, file in enumerate(self.file)}
        if len(keys) < self.num_images:
            raise ValueError(
                "Every picture of a data set must have a name of its own. Received: "
                f"{self.num_images} pictures with {len(keys)} names."
            )


def _check_unit(embedding: NDArray[np.float32]) -> None:
    length = np.linalg.norm(embedding, axis=1)
    if not np.allclose(length, 1.0, atol=1e-3):
        worst = int(np.argmax(np.abs(np.nan_to_num(length, nan=np.inf) - 1.0)))
        raise ValueError(
            f"embedding must be of unit length. Received: length {length[worst]:.6g} in row "
            f"{worst}. Is the model whole?"
        )


def _check_manifests(manifests: Sequence[PeopleManifest]) -> None:
    names = [one.name for one in manifests]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"Data sets must have names of their own. Received: {', '.join(names)}.")
    for one in manifests:
        if one.embedding is None or one.norm is None:
            raise ValueError(
                f"{one.name!r} must hold an embedding and a norm of every picture. Received: means "
                "alone, or nothing. Read the pictures again, with a model."
            )
    if len({one.witness for one in manifests}) > 1:
        raise ValueError(
            "All data sets must be embedded by one model. Received: "
            + ", ".join(f"{one.name} by {one.witness}" for one in manifests)
            + "."
        )
