"""Lists of people who may be one: two names to a line, and perhaps a score."""

import difflib
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple, TypeVar

Found = TypeVar("Found")


class ListedCouple(NamedTuple):
    """A line of a list.

    Args:
        file: Name of the list.
        line: Number of the line, from 1.
        names: The two people, as they are written.
        score: What follows them; None if nothing does.
    """

    file: str
    line: int
    names: tuple[str, str]
    score: float | None

    def look_up(self, find: Callable[[str], Found]) -> tuple[Found, Found]:
        """Looks up both names.

        Raises:
            ValueError: `find` raised one; the message begins with file and line.
        """
        try:
            return find(self.names[0]), find(self.names[1])
        except ValueError as error:
            raise ValueError(f"{self.file}, line {self.line}: {error}") from error


def read_couples(path: str | Path) -> list[ListedCouple]:
    r"""Reads a list: two names to a line, and perhaps a score.

    Between them stand tabs or, where no name has blanks, blanks. Empty lines, and those that begin
    with `#`, say nothing.

    Raises:
        OSError: The file cannot be read.
        ValueError: A line is not of this form, or the file is no text in UTF-8.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text in UTF-8. Received: {error}.") from error
    return [
        _parse(str(path), number, line)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.startswith("#")
    ]


def split_name(text: str, datasets: Collection[str]) -> tuple[str, str]:
    """Splits `set/name`; a set's name may begin with another's, and have a slash.

    Raises:
        ValueError: It is of none of the sets.
    """
    fitting = [name for name in datasets if text.startswith(f"{name}/")]
    if not fitting:
        raise ValueError(
            f"A person is set/name, the set one of {', '.join(datasets)}. Received: {text!r}."
        )
    dataset = max(fitting, key=len)
    return dataset, text.removeprefix(f"{dataset}/")


def unknown_name(name: str, known: Collection[str], where: str) -> ValueError:
    """Makes the error for a name that is not there; it proposes the nearest that is.

    Args:
        name: As it was received.
        known: The names that are there.
        where: In which data set, or among whom.
    """
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return ValueError(f"Nobody in {where} is called {name!r}.{hint}")


def _parse(file: str, number: int, line: str) -> ListedCouple:
    parts = [part.strip() for part in (line.split("\t") if "\t" in line else line.split())]
    score = _number(parts[2]) if len(parts) == 3 else None
    if len(parts) not in (2, 3) or not all(parts) or len(parts) == 3 and score is None:
        raise ValueError(
            f"{file}, line {number}: Expected two people as set/name, and perhaps a score, with "
            f"tabs between them if a name has blanks. Received: {line!r}."
        )
    return ListedCouple(file, number, (parts[0], parts[1]), score)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
