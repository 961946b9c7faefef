"""Suspected duplicates: a list of names to pairs of labels that are never told apart."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facezoo.data.batches import TrainingBatches
from facezoo.data.concat_batches import ConcatBatches


def read_duplicates(path: Path, batches: ConcatBatches) -> list[tuple[int, int]]:
    r"""Reads which people of several data sets, or of one of them, may be the same.

    A line names two of them as `set/name`, and may add a score, which is not looked at. Between
    them stand tabs or, where no name has blanks, blanks. Empty lines, and those that begin with
    `#`, say nothing.

    Args:
        path: The list.
        batches: Of the sets. A record of every person in the sets that are named is read.

    Returns:
        Pairs of the labels that `batches` gives, for `ConcatHead` and `WithinSets`.

    Raises:
        ValueError: A line is not of this form, or names a set or a person that is not there.
    """
    people: dict[str, dict[str, int]] = {}
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            pairs.append(tuple(_label(name, batches, people) for name in _names(line)))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return pairs


def _names(line: str) -> Sequence[str]:
    parts = [part.strip() for part in (line.split("\t") if "\t" in line else line.split())]
    if len(parts) not in (2, 3) or len(parts) == 3 and not _is_number(parts[2]):
        raise ValueError(
            "Expected two people as set/name, and perhaps a score, with tabs between them if a "
            f"name has blanks. Received: {line!r}."
        )
    return parts[:2]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _label(text: str, batches: ConcatBatches, people: dict[str, dict[str, int]]) -> int:
    fitting = [name for name in batches.names if text.startswith(f"{name}/")]
    if not fitting:
        raise ValueError(
            f"A person is set/name, the set one of {', '.join(batches.names)}. Received: {text!r}."
        )
    # A set's name may begin with another's, and have a slash.
    dataset = max(fitting, key=len)
    if dataset not in people:
        people[dataset] = _people(batches, batches.names.index(dataset))
    name = text.removeprefix(f"{dataset}/")
    if name not in people[dataset]:
        nearest = difflib.get_close_matches(name, people[dataset], n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"Nobody in the data set {dataset!r} is called {name!r}.{hint}")
    return people[dataset][name]


def _people(batches: ConcatBatches, place: int) -> dict[str, int]:
    """Returns the label of everybody in a set, by name."""
    one: TrainingBatches = batches.batches[place]
    first = int(np.sum(batches.classes_per_set[:place], dtype=np.int64))
    groups = one.index.groups
    return {
        one.index.read(int(groups.images(person)[0])).identity: first + person
        for person in range(groups.num_identities)
    }
