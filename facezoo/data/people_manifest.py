"""What is remembered of the people of a data set, so that overlap is found without its pictures."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facezoo import shapes
from facezoo.data.images import UnreadableImage, decode_rgb
from facezoo.data.near_duplicates import PictureHash, PictureHashes, hash_picture
from facezoo.data.references import Refusal
from facezoo.data.sources import list_input

_BATCH_SIZE: Final = 64


class Picture(NamedTuple):
    """A picture of a person that has not been read yet.

    Args:
        file: Its name within the set.
        person: Whose face it shows.
        read: Returns the encoded bytes.
    """

    file: str
    person: str
    read: Callable[[], bytes]


class Witness(NamedTuple):
    """A model that says how near two faces are.

    Args:
        fingerprint: Which model it is; embeddings of different ones cannot be compared.
        embed: Pictures uint8 [H, W, 3], each of any size, to `{"embedding": unit float [B, D],
            "norm": float [B]}`.
    """

    fingerprint: str
    embed: Callable[[Sequence[NDArray[np.uint8]]], Mapping[str, NDArray]]


@dataclass(frozen=True, eq=False)
class PeopleManifest:
    """The people of a data set: names, hashes of their pictures, and perhaps embeddings.

    Args:
        name: Of the set, for reports.
        people: Their names, P, ascending.
        file: Names of the pictures, N.
        person: int32 [N], the row in `people` of each picture; everybody has one.
        hashes: Of the pictures.
        refusals: Pictures that are not among these, and why.
        witness: Fingerprint of the model that made the embeddings; None if there are none.
        mean_embedding: float32 [P, D], the mean of each person's embeddings at unit length.
        embedding: float32 [N, D], of each picture; None where only the means are kept.
        norm: float32 [N], length of each picture's features before they were normalised; None as
            for `embedding`, or where it is not known.
    """

    name: str
    people: tuple[str, ...]
    file: tuple[str, ...]
    person: NDArray[np.int32]
    hashes: PictureHashes
    refusals: tuple[Refusal, ...] = ()
    witness: str | None = None
    mean_embedding: NDArray[np.float32] | None = None
    embedding: NDArray[np.float32] | None = None
    norm: NDArray[np.float32] | None = None

    def files_of(self, person: str) -> list[str]:
        """Returns the names of a person's pictures, in the set's order."""
        rows = np.flatnonzero(self.person == self.people.index(person))
        return [self.file[row] for row in rows]

    def with_embedding(
        self, embedding: NDArray, witness: str, norm: NDArray | None = None
    ) -> "PeopleManifest":
        """Returns the same people with an embedding of each picture.

        Args:
            embedding: float [N, D], in the order of `file`; brought to unit length.
            witness: Fingerprint of the model that made them.
            norm: float [N], length of the features before they were normalised, if it is known.

        Raises:
            ValueError: The embedding does not fit the pictures, or is not finite.
        """
        embedding = np.asarray(embedding, dtype=np.float32)
        if embedding.ndim != 2 or len(embedding) != len(self.file):
            raise ValueError(
                f"embedding must be [{len(self.file)}, D], a row for every picture of "
                f"{self.name!r}. Received: shape={embedding.shape}."
            )
        if not np.isfinite(embedding).all():
            bad = np.count_nonzero(~np.isfinite(embedding).all(axis=1))
            raise ValueError(
                f"embedding must be finite. Received: NaN or infinity in {bad} of "
                f"{len(embedding)} rows. Is the model whole?"
            )
        if norm is not None:
            norm = np.asarray(norm, dtype=np.float32)
            if norm.shape != (len(self.file),) or not np.isfinite(norm).all():
                raise ValueError(
                    f"norm must be [{len(self.file)}] and finite. Received: shape={norm.shape}. "
                    "Is the model whole?"
                )
        embedding = _unit(embedding)
        total = np.zeros((len(self.people), embedding.shape[1]), dtype=np.float32)
        np.add.at(total, self.person, embedding)
        mean = _unit(total)
        return replace(self, witness=witness, mean_embedding=mean, embedding=embedding, norm=norm)

    def means_only(self) -> "PeopleManifest":
        """Returns the same without the embeddings of single pictures, to travel with a model."""
        return replace(self, embedding=None, norm=None)


def build_manifest(
    source: str, witness: Witness | None = None, name: str | None = None
) -> PeopleManifest:
    """Reads every picture of a data set.

    Args:
        source: A folder with one folder per person, a CSV, `"orl"` or `"tfds:NAME"`, as
            `facezoo.data.sources` reads them.
        witness: Embeds the faces; None leaves embeddings out.
        name: Of the set; None for that of the source.

    Raises:
        SourceError: There is no such source, or it names no picture.
        ValueError: No picture can be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        listing = list_input(source, Path(folder, "spool"))
        pictures = [Picture(one.key, one.identity, one.read) for one in listing.images]
        manifest = manifest_of(name or listing.dataset, pictures, witness)
    return replace(manifest, refusals=(*listing.refusals, *manifest.refusals))


def manifest_of(
    name: str, pictures: Sequence[Picture], witness: Witness | None = None
) -> PeopleManifest:
    """Reads pictures, with a progress bar on a terminal.

    Args:
        name: Of the set.
        pictures: In the order in which they are listed. Those that cannot be read are refused.
        witness: Embeds the faces; None leaves embeddings out.

    Raises:
        ValueError: No picture can be read.
    """
    refusals: list[Refusal] = []
    read: list[Picture] = []
    hashes: list[PictureHash] = []
    answers: list[Mapping[str, NDArray]] = []
    bar = tqdm(pictures, desc=name, unit=" images", disable=None, leave=False)
    for batch in _batches(_decoded(bar, refusals)):
        images = [image for _, image in batch]
        read.extend(picture for picture, _ in batch)
        hashes.extend(map(hash_picture, images))
        if witness is not None:
            answers.append(witness.embed(images))
    if not read:
        first = f" The first, {refusals[0].key!r}: {refusals[0].reason}." if refusals else ""
        raise ValueError(
            f"{name!r} must hold a picture that can be read. Received: {len(pictures)} pictures, "
            f"of which none can.{first}"
        )
    people, person = np.unique([picture.person for picture in read], return_inverse=True)
    manifest = PeopleManifest(
        name,
        tuple(people.tolist()),
        tuple(picture.file for picture in read),
        person.astype(np.int32),
        PictureHashes.stack(hashes),
        tuple(refusals),
    )
    if witness is None:
        return manifest
    embedding, norm = (
        np.concatenate([one[key] for one in answers]) for key in (shapes.EMBEDDING, shapes.NORM)
    )
    return manifest.with_embedding(embedding, witness.fingerprint, norm)


def _decoded(
    pictures: Iterable[Picture], refusals: list[Refusal]
) -> Iterator[tuple[Picture, NDArray[np.uint8]]]:
    for picture in pictures:
        try:
            image = decode_rgb(picture.read())
        except (OSError, UnreadableImage) as error:
            refusals.append(Refusal(picture.file, str(error)))
        else:
            yield picture, image


def _batches(
    decoded: Iterator[tuple[Picture, NDArray[np.uint8]]],
) -> Iterator[list[tuple[Picture, NDArray[np.uint8]]]]:
    batch = []
    for one in decoded:
        batch.append(one)
        if len(batch) == _BATCH_SIZE:
            yield batch
            batch = []
    if batch:
        yield batch


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Brings rows to unit length; zeros, whose mean has no direction, stay zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
