"""TFRecord files, read and written without TensorFlow."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import google_crc32c

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")


def _masked_crc(data: bytes) -> bytes:
    # The mask is TFRecord's own: a CRC of data that holds CRCs would be weak.
    crc = google_crc32c.value(data)
    return _CRC.pack((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


class RecordWriter:
    """Writes a TFRecord file that appears under its name only when it is whole.

    Args:
        path: The file. The data goes to `<path>.partial` first and is moved when the `with` block
            ends without an error; otherwise nothing is left behind.

    Raises:
        OSError: The disk is full, or the folder may not be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self._partial = self._path.with_name(self._path.name + ".partial")
        self._file: BinaryIO

    def __enter__(self) -> "RecordWriter":
        self._file = open(self._partial, "wb")
        return self

    def write(self, record: bytes) -> None:
        """Appends one record."""
        self._file.write(_header(len(record)) + record + _masked_crc(record))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
            if error is None:
                os.replace(self._partial, self._path)
        finally:
            self._partial.unlink(missing_ok=True)


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the records of an uncompressed TFRecord file in order.

    Raises:
        ValueError: The file is cut off, or a checksum does not fit.
    """
    for _, record in scan_records(path):
        yield record


def scan_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields (offset, record) of an uncompressed TFRecord file in order.

    Raises:
        ValueError: The file is cut off, or a checksum does not fit.
    """
    offset = 0
    with open(path, "rb") as file:
        while (record := _read_next(file, path)) is not None:
            yield offset, record
            offset = file.tell()


def index_records(path: Path) -> list[int]:
    """Returns the offset of every record of an uncompressed TFRecord file, data unread.

    Raises:
        ValueError: The file is cut off, or a length's checksum does not fit.
    """
    offsets, end = [], os.path.getsize(path)
    with open(path, "rb") as file:
        while (offset := file.tell()) < end:
            length = _read_length(file, path)
            offsets.append(offset)
            file.seek(length + _CRC.size, os.SEEK_CUR)
        if offset > end:
            raise ValueError(_broken(path, offsets[-1], "its data is cut off"))
    return offsets


def read_record_at(descriptor: int, path: Path, offset: int, length: int) -> bytes:
    """Returns a record whose place is known, by one read; threads may share the descriptor.

    Args:
        descriptor: Of the open file.
        path: Of the file, for the error.
        offset: As `scan_records` gave it.
        length: Of the record, bytes.

    Raises:
        ValueError: The file is cut off, a checksum does not fit, or another record lies there.
    """
    header = _header(length)
    framed = os.pread(descriptor, len(header) + length + _CRC.size, offset)
    if framed[: len(header)] != header:
        raise ValueError(_broken(path, offset, "its length is damaged or not as expected"))
    record, crc = framed[len(header) : -_CRC.size], framed[-_CRC.size :]
    if len(record) < length or crc != _masked_crc(record):
        raise ValueError(_broken(path, offset, "its data is cut off or damaged"))
    return record


def _header(length: int) -> bytes:
    number = _LENGTH.pack(length)
    return number + _masked_crc(number)


def _read_next(file: BinaryIO, path: Path) -> bytes | None:
    offset = file.tell()
    length = _read_length(file, path)
    if length is None:
        return None
    record = file.read(length)
    if len(record) < length or file.read(_CRC.size) != _masked_crc(record):
        raise ValueError(_broken(path, offset, "its data is cut off or damaged"))
    return record


def _read_length(file: BinaryIO, path: Path) -> int | None:
    offset = file.tell()
    header = file.read(_LENGTH.size + _CRC.size)
    if not header:
        return None
    number, crc = header[: _LENGTH.size], header[_LENGTH.size :]
    if len(crc) < _CRC.size or _masked_crc(number) != crc:
        raise ValueError(_broken(path, offset, "its length is cut off or damaged"))
    (length,) = _LENGTH.unpack(number)
    # A damaged length must not ask for more memory than the file could fill.
    if length > os.path.getsize(path):
        raise ValueError(_broken(path, offset, "it is longer than the file"))
    return length


def _broken(path: Path, offset: int, what: str) -> str:
    return (
        f"The record at byte {offset} of {path} cannot be read: {what}. "
        "Delete the file's execution folder and run the pipeline again."
    )
