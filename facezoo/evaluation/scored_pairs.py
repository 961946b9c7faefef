"""Pairs with their distances and the truth: what every number of a verification is made from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """Pairs of one list, scored by one system.

    Args:
        distance: float32 [P], squared L2 distance of two unit embeddings.
        same: bool [P], whether the pair is genuine.
        person: int [P, 2], the two people of a pair; see `people_of`.

    Raises:
        ValueError: Shapes do not fit.
    """

    distance: NDArray[np.float32]
    same: NDArray[np.bool_]
    person: NDArray[np.int64]

    def __post_init__(self) -> None:
        num_pairs = len(self.distance)
        found = (self.distance.shape, self.same.shape, self.person.shape)
        if found != ((num_pairs,), (num_pairs,), (num_pairs, 2)):
            raise ValueError(
                "distance and same must be [P], and person [P, 2]. Received: "
                + ", ".join(map(str, found))
                + "."
            )

    @property
    def genuine(self) -> NDArray[np.float32]:
        """Distances of the genuine pairs, [G]."""
        return self.distance[self.same]

    @property
    def impostor(self) -> NDArray[np.float32]:
        """Distances of the impostor pairs, [I]."""
        return self.distance[~self.same]


def people_of(
    person: NDArray[np.int64], pair: NDArray[np.int64], same: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Who stands in each pair, as far as one can tell.

    Args:
        person: int [M], the person of each template; -1 where it is not known.
        pair: int [P, 2], two templates each.
        same: bool [P].

    Returns:
        int [P, 2]. Where a person is not known, templates that genuine pairs connect count as one:
        where every template comes once, as in the packs, that is one person for each genuine pair,
        and one for each face of an impostor pair. Where the list contradicts itself, so that an
        impostor pair lies within such a person, every pair is taken for people of its own.
    """
    if (person >= 0).all():
        return person[pair]
    first, second = pair[same].T
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(person),) * 2)
    _, component = connected_components(links, directed=False)
    people = component.astype(np.int64)[pair]
    if np.array_equal(people[:, 0] == people[:, 1], same):
        return people
    first = 2 * np.arange(len(pair), dtype=np.int64)
    return np.stack([first, first + ~same], axis=1)
