"""The one file format that every protocol can be kept in: checked when it is read."""

import hashlib
import json
import mmap
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from facezoo.protocols.protocol import COLUMNS, Protocol

FORMAT: Final = 1
_HEADER: Final = "header"
_TEXTS: Final = ("image", "slices")
_SEAL_LENGTH: Final = 64
# What NumPy, zipfile, json and `Protocol` raise on foreign or damaged bytes.
_DAMAGED: Final = (
    *(ValueError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError),
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error),
)


def save(protocol: Protocol, path: str | os.PathLike[str]) -> None:
    """Writes a protocol; the file appears, or is replaced, when it is whole.

    The file is a NumPy `.npz` without pickled objects: int32 and bool columns, texts as UTF-8
    JSON, and a JSON `header` with the format's number, the name, the set rule, every count and
    `Protocol.digest`. Its last 64 bytes, a comment to zip programs, are the SHA-256 of all others.

    Args:
        protocol: The protocol; equal ones give equal bytes.
        path: The file, by custom with the suffix `.npz`.
    """
    header = {
        "format": FORMAT,
        "name": protocol.name,
        "set_rule": protocol.set_rule,
        "digest": protocol.digest(),
        **protocol.counts(),
    }
    slices = {name: column.tolist() for name, column in protocol.slices.items()}
    texts = {_HEADER: header, "image": protocol.image, "slices": slices}
    columns = {name: _to_bytes(value) for name, value in texts.items()}
    columns |= {name: getattr(protocol, name) for name in (*COLUMNS, "same")}
    path = Path(path)
    aside = path.with_name(f"{path.name}.partial")
    with zipfile.ZipFile(aside, "w") as archive:
        for name, column in columns.items():
            if column is not None:
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, column, allow_pickle=False)
        archive.comment = bytes(_SEAL_LENGTH)
    with aside.open("r+b") as file:
        seal = _seal(file.fileno())
        file.seek(-_SEAL_LENGTH, os.SEEK_END)
        file.write(seal)
    os.replace(aside, path)


def load(path: str | os.PathLike[str]) -> Protocol:
    """Reads what `save` wrote.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no such file, of a newer format, cut off, or changed.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                header = _text(archive, _HEADER)
                _check_format(path, header)
                if archive.comment != _seal(file.fileno()):
                    raise ValueError("its checksum does not fit")
                protocol = _protocol(header, archive)
        except _OtherFormat:
            raise
        except _DAMAGED as error:
            raise ValueError(
                f"{path} is no protocol file, or is damaged: {error}. Copy it again, or make it "
                "anew with facezoo.protocols.save."
            ) from error
    found = {**protocol.counts(), "digest": protocol.digest()}
    if wrong := [name for name in found if header.get(name) != found[name]]:
        facts = ", ".join(f"{name} {header.get(name)}, found {found[name]}" for name in wrong)
        raise ValueError(
            f"{path} does not hold what its header says: {facts}. Copy it again, or make it anew "
            "with facezoo.protocols.save."
        )
    return protocol


class _OtherFormat(ValueError):
    """A protocol file, for all that is known, but not of this format."""


def _seal(descriptor: int) -> bytes:
    """Returns the checksum of a file but for its last bytes, where it is kept."""
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
        with memoryview(content) as view:
            return hashlib.sha256(view[:-_SEAL_LENGTH]).hexdigest().encode()


def _to_bytes(value: Any) -> np.ndarray:
    # sort_keys: equal protocols may have been given their slices in another order.
    return np.frombuffer(json.dumps(value, sort_keys=True).encode(), np.uint8)


def _column(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _text(archive: zipfile.ZipFile, name: str) -> Any:
    return json.loads(_column(archive, name).tobytes())


def _protocol(header: Mapping[str, Any], archive: zipfile.ZipFile) -> Protocol:
    held = set(archive.namelist())
    texts = {name: _text(archive, name) for name in _TEXTS}
    columns = {name: _column(archive, name) for name in (*COLUMNS, "same") if f"{name}.npy" in held}
    return Protocol(name=header["name"], set_rule=header["set_rule"], **texts, **columns)


def _check_format(path: str | os.PathLike[str], header: Any) -> None:
    number = header.get("format") if isinstance(header, dict) else None
    if not isinstance(number, int):
        raise ValueError("its header names no format")
    if number != FORMAT:
        raise _OtherFormat(
            f"{path} has the format {number}. Expected: {FORMAT}. "
            "Read it with the version of facezoo that wrote it, or a newer one."
        )
