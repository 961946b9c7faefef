"""Suspected duplicates: a list of names to pairs of labels that are never told apart."""

from pathlib import Path

import numpy as np

from facezoo.data.batches import TrainingBatches
from facezoo.data.concat_batches import ConcatBatches
from facezoo.data.couples import read_couples, split_name, unknown_name


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

    def label(text: str) -> int:
        dataset, name = split_name(text, batches.names)
        if dataset not in people:
            people[dataset] = _people(batches, batches.names.index(dataset))
        if name not in people[dataset]:
            raise unknown_name(name, people[dataset], f"the data set {dataset!r}")
        return people[dataset][name]

    return [couple.look_up(label) for couple in read_couples(path)]


def _people(batches: ConcatBatches, place: int) -> dict[str, int]:
    """Returns the label of everybody in a set, by name."""
    one: TrainingBatches = batches.batches[place]
    first = int(np.sum(batches.classes_per_set[:place], dtype=np.int64))
    groups = one.index.groups
    return {
        one.index.read(int(groups.images(person)[0])).identity: first + person
        for person in range(groups.num_identities)
    }
