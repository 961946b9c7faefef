"""The people that are known: enrolled, removed, and brought up to date, by many at once."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.gallery import rows
from facezoo.gallery.binding import Binding
from facezoo.gallery.calibration import Calibration
from facezoo.gallery.entry import Enrolment, Entry, Picture
from facezoo.gallery.faces import Faces
from facezoo.gallery.gallery_file import (
    Header,
    create_file,
    damaged,
    opened,
    read_header,
    write_header,
)
from facezoo.metrics.embeddings import check_embedding

# The same on every machine.
_NUMBERS: Final = np.dtype("<f4")


class Gallery:
    """Pictures of known people in one file, which several processes may change at once.

    The file is an SQLite database: every change is a transaction, which counts wholly or not at
    all, costs what is changed and not what is there, and is on the disk when the call returns. A
    process that is killed leaves `<file>-journal`, from which the next one that opens the file
    mends it: never copy or delete the one without the other. Locks are POSIX locks. Network file
    systems keep them only if the server and the mount do (NFS not with `nolock` or
    `local_lock`), so a gallery that several machines write belongs on the disk of one.

    Embeddings of faces are personal data, as the pictures are. Those of removed people are
    overwritten.

    Args:
        path: Of a file that `Gallery.create` made.

    Raises:
        OSError: The file is not there or cannot be opened.
        ValueError: It is no gallery, of another format, or damaged.

    Example:
        >>> import tempfile
        >>> from facezoo.gallery import Binding, Entry, Picture
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     gallery = Gallery.create(Path(folder, "family.gallery"), Binding("1f", "2e"), 2)
        ...     entry = Entry(Picture("ann", "ann.jpg", "digest"), np.array([0.6, 0.8]))
        ...     print(gallery.enrol([entry, entry]), gallery.header().generation)
        Enrolment(added=1, known=1, conflicts=()) 1
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        header = self.header()
        self.binding, self.embedding_dim = header.binding, header.embedding_dim

    @classmethod
    def create(cls, path: str | Path, binding: Binding, embedding_dim: int) -> "Gallery":
        """Makes a gallery without people, or opens the one that is there.

        Args:
            path: The file.
            binding: What its embeddings will be made with.
            embedding_dim: Their length.

        Raises:
            OSError: It cannot be written there.
            ValueError: What is there is no gallery, or one of other embeddings.
        """
        path = Path(path)
        if not path.exists():
            create_file(path, Header(binding, embedding_dim))
        gallery = cls(path)
        gallery.binding.check(binding, str(path))
        return gallery

    def header(self) -> Header:
        """Reads what the file says about itself."""
        with opened(self.path) as connection:
            return read_header(self.path, connection)

    def enrol(self, entries: Iterable[Entry]) -> Enrolment:
        """Adds pictures of people, all or, where this raises, none.

        Args:
            entries: A picture that is there is left as it is, also if it is somebody else's.

        Raises:
            OSError: The file cannot be written.
            ValueError: An embedding is not of unit length or has another length than the
                gallery's, or the file is damaged.
        """
        entries = list(entries)
        embedding = self._checked(entries)
        conflicts = []
        with rows.changing(self.path) as change:
            for entry, numbers in zip(entries, embedding, strict=True):
                holder = rows.find(change.connection, entry.picture.digest)
                if holder is None:
                    change.add(entry.picture, numbers.tobytes())
                elif holder.identity != entry.picture.identity:
                    conflicts.append((entry.picture, holder.identity))
        known = len(entries) - change.num_added - len(conflicts)
        return Enrolment(change.num_added, known, tuple(conflicts))

    def remove(self, identities: Iterable[str] = (), pictures: Iterable[str] = ()) -> int:
        """Takes people or pictures out, all or, where this raises, none.

        Args:
            identities: Names of people.
            pictures: Sources or digests.

        Returns:
            How many pictures were removed.

        Raises:
            OSError: The file cannot be written.
            ValueError: Somebody or something is not there.
        """
        with rows.changing(self.path) as change:
            for name in dict.fromkeys(identities):
                if not change.remove("identity = ?1", name):
                    raise ValueError(_nobody(self.path, name, self.people()))
            for name in dict.fromkeys(pictures):
                if not change.remove("source = ?1 OR digest = ?1", name):
                    raise ValueError(
                        f"{self.path} holds no picture {name!r}. Give a source or a digest, as "
                        "`python -m facezoo gallery list` shows them."
                    )
        return change.num_removed

    def update(self, moved: Iterable[Picture], dropped: Iterable[str]) -> None:
        """Corrects whose pictures are and where they lie, and drops others, all at once.

        Args:
            moved: Pictures that are there under another person, source or origin.
            dropped: Digests; what is not there any more is none the less dropped.

        Raises:
            OSError: The file cannot be written.
        """
        with rows.changing(self.path) as change:
            for digest in dropped:
                change.remove("digest = ?1", digest)
            for picture in moved:
                for numbers in change.remove("digest = ?1", picture.digest):
                    change.add(picture, numbers)

    def store_calibrations(self, calibrations: Iterable[Calibration]) -> None:
        """Stores thresholds that were measured on the gallery, in place of those that are there.

        Raises:
            OSError: The file cannot be written.
        """
        with opened(self.path, write=True) as connection:
            header = read_header(self.path, connection)
            content = [asdict(one) for one in calibrations]
            write_header(connection, replace(header, calibrations=content))

    def calibrations(self) -> tuple[Calibration, ...]:
        """Returns the thresholds that `store_calibrations` stored."""
        return tuple(Calibration(**one) for one in self.header().calibrations)

    def faces(self) -> Faces:
        """Reads all faces, and checks every row.

        Raises:
            ValueError: The file is damaged.
        """
        names, sources, numbers = [], [], bytearray()
        with opened(self.path) as connection:
            header = read_header(self.path, connection)
            for name, source, content in rows.checked_rows(self.path, connection):
                names.append(name)
                sources.append(source)
                numbers += content
        if len(names) != header.num_pictures:
            raise damaged(self.path, f"{len(names)} of {header.num_pictures} pictures are there")
        # Rows come by person.
        people = tuple(dict.fromkeys(names))
        row = {name: number for number, name in enumerate(people)}
        label = np.fromiter((row[name] for name in names), np.int64, len(names))
        embedding = np.frombuffer(numbers, _NUMBERS).reshape(len(names), header.embedding_dim)
        return Faces(
            people,
            label,
            embedding.astype(np.float32, copy=False),
            tuple(sources),
            header.generation,
        )

    def find(self, digests: Iterable[str]) -> dict[str, Picture]:
        """Returns the pictures that are there, of those with these digests, by digest."""
        with opened(self.path) as connection:
            found = (rows.find(connection, digest) for digest in digests)
            return {picture.digest: picture for picture in found if picture}

    def pictures(
        self, identities: Sequence[str] | None = None, origin: str | None = None
    ) -> list[Picture]:
        """Lists pictures, ordered by person, then by source.

        Args:
            identities: Of these people; None for all.
            origin: Enrolled from there; None for all.

        Raises:
            ValueError: Somebody is not there.
        """
        with opened(self.path) as connection:
            found = rows.all_pictures(connection, origin)
        if identities is not None:
            people = {picture.identity for picture in found}
            for name in identities:
                if name not in people:
                    raise ValueError(_nobody(self.path, name, people))
            found = [picture for picture in found if picture.identity in set(identities)]
        return sorted(found)

    def people(self) -> Mapping[str, int]:
        """Returns how many pictures there are of each person, in the order of the names."""
        with opened(self.path) as connection:
            return rows.count_people(connection)

    def _checked(self, entries: Sequence[Entry]) -> NDArray[np.float32]:
        if not entries:
            return np.zeros((0, self.embedding_dim), _NUMBERS)
        for entry in entries:
            if np.shape(entry.embedding) != (self.embedding_dim,):
                raise ValueError(
                    f"{self.path} holds embeddings of {self.embedding_dim} numbers. Received: "
                    f"shape={np.shape(entry.embedding)} for {entry.picture.source!r}."
                )
        return check_embedding([entry.embedding for entry in entries]).astype(_NUMBERS)


def _nobody(path: Path, name: str, people: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, people, n=1)
    hint = f"Did you mean {nearest[0]!r}?" if nearest else "`gallery list` shows who is."
    return f"Nobody is enrolled in {path} as {name!r}. {hint}"
