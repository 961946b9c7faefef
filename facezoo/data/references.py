"""A picture that has not been read yet, and why something will not be: what sources list."""

from dataclasses import dataclass, field
from typing import NamedTuple


class SourceError(ValueError):
    """An input cannot be used at all; the message says what was expected and how to mend it."""


@dataclass(frozen=True)
class ImageRef:
    """Where the bytes of one picture lie.

    Args:
        key: Its name relative to the input, printable.
        identity: The person's name.
        path: The file, as the system names it: need not be UTF-8.
        offset: First byte in the file.
        size: Number of bytes.
        modified: Time of change, nanoseconds; 0 if the input has another fingerprint.
        mode: File mode with permissions; 0 likewise.
    """

    key: str
    identity: str
    path: bytes
    offset: int = 0
    size: int = 0
    modified: int = 0
    mode: int = 0

    def read(self) -> bytes:
        """Reads the bytes.

        Raises:
            OSError: The file cannot be read.
        """
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


class Refusal(NamedTuple):
    """Something found that is no record, and why: a row of the quarantine list."""

    key: str
    reason: str


@dataclass
class Listing:
    """Everything an input holds.

    Args:
        dataset: Its name.
        images: What is to be tried.
        refusals: What is known to be of no use.
    """

    dataset: str
    images: list[ImageRef] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def printable(name: bytes) -> str:
    r"""A file name as text that can be written anywhere; different names stay different.

    Example:
        >>> print(printable("Zoë.png".encode()), printable("Zoë.png".encode("latin-1")))
        Zoë.png Zo\xeb.png
    """
    return name.replace(b"\\", rb"\\").decode("utf-8", "backslashreplace")
