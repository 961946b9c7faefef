"""The rows of a gallery's file: found, added and taken out within a transaction."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from facezoo.gallery.entry import Picture
from facezoo.gallery.gallery_file import (
    damaged,
    opened,
    read_header,
    row_checksum,
    write_header,
)

# The fields of a `Picture`.
_TEXTS: Final = "identity, source, digest, origin"


@dataclass
class Change:
    """A transaction that changes who is enrolled.

    Args:
        connection: To the file.
        num_added: How many rows have come.
        num_removed: How many have gone.
    """

    connection: sqlite3.Connection
    num_added: int = 0
    num_removed: int = 0

    def add(self, picture: Picture, numbers: bytes) -> None:
        """Adds a row."""
        values = (*picture, numbers, row_checksum(picture, numbers))
        self.connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", values)
        self.num_added += 1

    def remove(self, where: str, value: str) -> list[bytes]:
        """Takes rows out.

        Args:
            where: Which, in SQL, with `?1` for the value.
            value: As text.

        Returns:
            Their embeddings.
        """
        query = f"DELETE FROM entry WHERE {where} RETURNING embedding"
        gone = [numbers for (numbers,) in self.connection.execute(query, [value]).fetchall()]
        self.num_removed += len(gone)
        return gone


@contextmanager
def changing(path: Path) -> Iterator[Change]:
    """Opens a gallery to change who is enrolled; what has changed counts as a new generation."""
    with opened(path, write=True) as connection:
        header, change = read_header(path, connection), Change(connection)
        yield change
        if change.num_added or change.num_removed:
            # Not counted anew: a row that damage has taken would never be missed.
            number = header.num_pictures + change.num_added - change.num_removed
            new = replace(header, generation=header.generation + 1, num_pictures=number)
            write_header(connection, new)


def find(connection: sqlite3.Connection, digest: str) -> Picture | None:
    """Returns the picture with a digest; None if it is not there."""
    row = connection.execute(f"SELECT {_TEXTS} FROM entry WHERE digest = ?", [digest]).fetchone()
    return row and Picture(*row)


def all_pictures(connection: sqlite3.Connection, origin: str | None) -> list[Picture]:
    """Lists pictures; those of one origin if that is not None."""
    query, values = f"SELECT {_TEXTS} FROM entry", []
    if origin is not None:
        query, values = f"{query} WHERE origin = ?", [origin]
    return [Picture(*texts) for texts in connection.execute(query, values)]


def count_people(connection: sqlite3.Connection) -> dict[str, int]:
    """Returns how many pictures there are of each person, in the order of the names."""
    query = "SELECT identity, count(*) FROM entry GROUP BY identity ORDER BY identity"
    return dict(connection.execute(query))


def checked_rows(path: Path, connection: sqlite3.Connection) -> Iterator[tuple[str, str, Any]]:
    """Yields identity, source and embedding of every picture, by person, then by digest.

    Raises:
        ValueError: A row does not fit its checksum.
    """
    query = f"SELECT {_TEXTS}, embedding, checksum FROM entry ORDER BY identity, digest"
    for *texts, numbers, checksum in connection.execute(query):
        if row_checksum(texts, numbers) != checksum:
            raise damaged(path, f"{texts[1]!r} does not fit its checksum")
        yield texts[0], texts[1], numbers
