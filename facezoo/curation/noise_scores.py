"""How well what was found agrees with what was planted."""

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facezoo.curation.faces import Faces, Person
from facezoo.curation.plan import DROP, MERGE, Decision, Finding
from facezoo.metrics import wilson_interval

Said = Finding | Decision
Interval = tuple[float, float]


@dataclass(frozen=True)
class DetectionScores:
    """What was found, beside what there was to find.

    Args:
        num_found: Things said to be wrong.
        num_planted: Things that are wrong.
        num_right: Things that are both.
    """

    num_found: int
    num_planted: int
    num_right: int

    @property
    def precision(self) -> float | None:
        """Of what was found, the share that was planted; None if nothing was found."""
        return self.num_right / self.num_found if self.num_found else None

    @property
    def recall(self) -> float | None:
        """Of what was planted, the share that was found; None if nothing was planted."""
        return self.num_right / self.num_planted if self.num_planted else None

    @property
    def precision_interval(self) -> Interval | None:
        """Wilson's, at 95 %."""
        return wilson_interval(self.num_right, self.num_found) if self.num_found else None

    @property
    def recall_interval(self) -> Interval | None:
        """Wilson's, at 95 %."""
        return wilson_interval(self.num_right, self.num_planted) if self.num_planted else None

    def __add__(self, other: "DetectionScores") -> "DetectionScores":
        """The scores of two experiments taken together."""
        return DetectionScores(
            self.num_found + other.num_found,
            self.num_planted + other.num_planted,
            self.num_right + other.num_right,
        )


def precision_recall(found: Iterable[Hashable], planted: Iterable[Hashable]) -> DetectionScores:
    """Compares what was found with what was planted; what comes twice counts once.

    Data that were taken for clean seldom are: what is found of their own noise counts as wrong
    here, so that the precision is a lower bound.

    Args:
        found: Rows of pictures, or couples of people as `couples_of` gives them.
        planted: The same.

    Example:
        >>> scores = precision_recall(found=[1, 2, 3, 4], planted=[2, 3, 9])
        >>> scores.precision, round(scores.recall, 3)
        (0.5, 0.667)
    """
    found, planted = set(found), set(planted)
    return DetectionScores(len(found), len(planted), len(found & planted))


def dropped_rows(faces: Faces, said: Iterable[Said]) -> set[int]:
    """Returns the rows of the pictures that are to be dropped, by themselves or with a person.

    Raises:
        KeyError: A picture is not among the faces.
    """
    subjects = [one.subject for one in said if one.action == DROP]
    place = faces.rows_of_pictures()
    rows = {place[one.person, one.file] for one in subjects if one.file is not None}
    gone = {one.person for one in subjects if one.file is None}
    return rows | {row for row in range(faces.num_images) if gone and faces.person(row) in gone}


def couples_of(couples: Iterable[Collection[Person]]) -> set[frozenset[Person]]:
    """Returns all couples of the groups that couples make: of a group of three, three.

    Args:
        couples: Two people each, who are one.
    """
    couples = [tuple(one) for one in couples]
    people = sorted({person for one in couples for person in one})
    if not people:
        return set()
    place = {person: row for row, person in enumerate(people)}
    first, second = np.array([[place[person] for person in one] for one in couples]).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(people),) * 2)
    _, group = connected_components(graph, directed=False)
    members = [np.flatnonzero(group == number) for number in range(group.max() + 1)]
    return {
        frozenset((people[one], people[other]))
        for rows in members
        for one, other in combinations(rows, 2)
    }


def merged_couples(said: Iterable[Said]) -> set[frozenset[Person]]:
    """Returns all couples that are to become one person, those of larger groups included."""
    merges = (one.subject for one in said if one.action == MERGE)
    return couples_of((one.person, one.other) for one in merges)
