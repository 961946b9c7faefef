"""The file of a gallery: an SQLite database that knows its format and finds its own damage."""

import json
import os
import sqlite3
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from facezoo.gallery.binding import Binding

FORMAT: Final = 1
# Lies in the database's header, where `file` and other tools look for it.
_APPLICATION_ID: Final = int.from_bytes(b"fzga", "big")
_LONGEST_WAIT: Final = 60.0
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
_SCHEMA: Final = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE header (content TEXT NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE entry (
    identity TEXT NOT NULL,
    source TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    origin TEXT NOT NULL,
    embedding BLOB NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE INDEX entry_in_order ON entry (identity, digest);
CREATE INDEX entry_from ON entry (origin, source);
"""


@dataclass(frozen=True)
class Header:
    """What a gallery's file says about itself.

    Args:
        binding: What its embeddings were made with.
        embedding_dim: Their length.
        generation: Counts the changes of what is enrolled.
        num_pictures: How many entries there are.
        calibrations: Thresholds that were measured on it, as plain data.
    """

    binding: Binding
    embedding_dim: int
    generation: int = 0
    num_pictures: int = 0
    calibrations: list[dict[str, Any]] = field(default_factory=list)


def create_file(path: Path, header: Header) -> None:
    """Makes a gallery's file, empty of people; one that another process has made since is left.

    Raises:
        OSError: It cannot be written there.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO header VALUES (?, ?)", _header_row(header))
        content = connection.serialize()
    # Under another name first: an empty file would be a gallery that was lost.
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with open(aside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a renamed file, a link never replaces one that is there.
        os.link(aside, path)
        _sync_folder(path.parent)
    except FileExistsError:
        return
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def opened(path: Path, write: bool = False) -> Iterator[sqlite3.Connection]:
    """Opens a gallery for one transaction, which counts when this ends without an error.

    A writer keeps other writers out from the first to the last line; both are told apart by locks
    that the system drops with the process. When this has ended, what was written is on the disk.

    Args:
        path: The file.
        write: Whether it is to be changed.

    Raises:
        OSError: It is not there, cannot be opened or written, or another process keeps it.
        ValueError: It is no gallery, of another format, or damaged.
    """
    _check_place(path)
    try:
        with closing(_connect(path)) as connection:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            _check_format(path, connection)
            yield connection
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def read_header(path: Path, connection: sqlite3.Connection) -> Header:
    """Reads what the file says about itself.

    Raises:
        ValueError: It does not fit its checksum.
    """
    rows = connection.execute("SELECT content, checksum FROM header").fetchall()
    if len(rows) != 1 or zlib.crc32(rows[0][0].encode()) != rows[0][1]:
        raise damaged(path, "its header does not fit its checksum")
    content = json.loads(rows[0][0])
    return Header(Binding.from_dict(content.pop("binding")), **content)


def write_header(connection: sqlite3.Connection, header: Header) -> None:
    """Writes what the file says about itself."""
    connection.execute("UPDATE header SET content = ?, checksum = ?", _header_row(header))


def row_checksum(texts: Sequence[str], embedding: bytes) -> int:
    """Checksum of an entry: of all its texts, in the order of the columns, and its numbers."""
    return zlib.crc32(embedding, zlib.crc32("\0".join(texts).encode()))


def damaged(path: Path, what: str) -> ValueError:
    """What is raised for a file that is not as it was written."""
    return ValueError(
        f"{path} is no gallery of faces, or is damaged: {what}. Take a copy of it, or enrol the "
        "pictures into a new file."
    )


def _header_row(header: Header) -> tuple[str, int]:
    content = {**vars(header), "binding": header.binding.to_dict()}
    text = json.dumps(content, sort_keys=True)
    return text, zlib.crc32(text.encode())


def _sync_folder(folder: Path) -> None:
    opened_folder = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened_folder)
    finally:
        os.close(opened_folder)


def _connect(path: Path) -> sqlite3.Connection:
    name = quote(os.fsencode(path.absolute()))
    connection = sqlite3.connect(
        f"file:{name}?mode=rw", uri=True, timeout=_LONGEST_WAIT, isolation_level=None
    )
    # A face that was removed is overwritten, and what was acknowledged survives a power cut.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = EXTRA")
    return connection


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"A gallery is a file. Received: the folder {path}.")
    if not path.exists():
        raise FileNotFoundError(
            f"There is no gallery {path}. Make one with `python -m facezoo gallery enrol`."
        )


def _check_format(path: Path, connection: sqlite3.Connection) -> None:
    kind, version, num_pages, page_size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version", "page_count", "page_size")
    )
    if kind != _APPLICATION_ID:
        raise damaged(path, "it does not begin as one")
    # SQLite takes a last page that is cut off for one that ends in zeros.
    if (size := os.path.getsize(path)) < num_pages * page_size:
        raise damaged(path, f"{size:,} of {num_pages * page_size:,} bytes are there")
    if version != FORMAT:
        raise ValueError(
            f"{path} is a gallery of format {version}. Expected: format {FORMAT}. Take the "
            "facezoo that wrote it, or enrol its pictures into a new gallery with this one."
        )


def _explained(path: Path, error: sqlite3.Error) -> Exception:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGE:
        return damaged(path, str(error))
    if code == sqlite3.SQLITE_BUSY:
        return OSError(
            f"{path} has been kept by another process for {_LONGEST_WAIT:g} seconds. Wait until "
            "that has ended, and try again."
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return PermissionError(
            f"{path} cannot be opened as is needed ({error}). To change it, or to end what was "
            "cut off, it and its folder must be writable."
        )
    return OSError(f"{path} cannot be read or written: {error}.")
