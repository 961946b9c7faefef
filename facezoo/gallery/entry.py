"""One picture of one person, as a gallery holds it."""

import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

# No folder's name is longer, and a table can still show it.
_LONGEST_IDENTITY: Final = 255
_SHOWN: Final = 40


class Picture(NamedTuple):
    """A picture of a gallery, without its embedding.

    Args:
        identity: Whose face it shows.
        source: Its name, for people; within `origin` if there is one.
        digest: Of its bytes, by `picture_digest`: the same picture twice is one entry.
        origin: The folder or list that it was enrolled from, and is refreshed from; `""` for a
            picture that was enrolled by itself.
    """

    identity: str
    source: str
    digest: str
    origin: str = ""


@dataclass(frozen=True, eq=False)
class Entry:
    """A picture of a person with its embedding.

    Args:
        picture: Whose it is and where it came from.
        embedding: float32 [D], unit length; checked when it is enrolled.

    Raises:
        ValueError: A text is empty, is no text that every program can show, or is too long.
    """

    picture: Picture
    embedding: NDArray[np.float32]

    def __post_init__(self) -> None:
        check_identity(self.picture.identity)
        if not self.picture.digest:
            raise ValueError("A picture must have a digest. Take picture_digest of its bytes.")
        for name in ("source", "digest", "origin"):
            _check_utf8(name, getattr(self.picture, name))


@dataclass(frozen=True)
class Enrolment:
    """What became of entries.

    Args:
        added: How many are new.
        known: How many were there: the same picture of the same person.
        conflicts: Pictures that are there as somebody else's, and with whose name.
    """

    added: int
    known: int
    conflicts: tuple[tuple[Picture, str], ...] = ()


def picture_digest(content: bytes) -> str:
    """Names a picture by its bytes.

    Example:
        >>> picture_digest(b"")[:16]
        'e3b0c44298fc1c14'
    """
    return hashlib.sha256(content).hexdigest()


def check_identity(identity: str) -> None:
    """Checks that a person's name fits in one line of a table or of a CSV.

    Raises:
        ValueError: It does not.
    """
    shown = identity if len(identity) <= _SHOWN else identity[:_SHOWN] + ".."
    if not identity.strip() or len(identity) > _LONGEST_IDENTITY:
        raise ValueError(
            f"An identity must have from 1 to {_LONGEST_IDENTITY} characters, not all blank. "
            f"Received: {len(identity)} characters, {shown!r}."
        )
    if not identity.isprintable():
        raise ValueError(
            "An identity must be one line of printable characters. "
            f"Received: {shown!r}. Give the person a name without line breaks and tabs."
        )


def _check_utf8(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} must be text that UTF-8 can write. Received: {text!r}. "
            "Take facezoo.data.references.printable of a file's name."
        ) from error
