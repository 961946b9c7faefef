"""Groups of people who are one, with a guard against chains of weak links."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import DisjointSet

Compatible = Callable[[NDArray[np.int64], NDArray[np.int64]], bool]


def group_people(
    num_people: int,
    couples: ArrayLike,
    score: ArrayLike,
    compatible: Compatible,
    separate: Iterable[tuple[int, int]] = (),
) -> NDArray[np.int64]:
    """Joins couples to groups, unless that would join people who are not alike.

    A is like B, B is like C, and A is somebody else than C: union-find alone would make one person
    of the three. Here the surest link is taken first, and two groups become one only if they are
    compatible as a whole.

    Args:
        num_people: P.
        couples: int [M, 2], links between two people each.
        score: float [M], how sure each link is. Of equal ones, the first row is taken first.
        compatible: Takes the rows of two groups, each int [..] ascending, and says whether all
            of them may be one person.
        separate: Couples who never end up in one group, whatever links there are.

    Returns:
        The group of everybody, int64 [P], numbered as they first occur. A link was refused where
        its two ends are in different groups.

    Raises:
        ValueError: Links and scores do not fit each other, or name somebody outside [0, P).

    Example:
        >>> links, all_alike = [(0, 1), (1, 2), (3, 4)], lambda one, other: True
        >>> group_people(5, links, [0.9, 0.8, 0.7], all_alike).tolist()
        [0, 0, 0, 1, 1]
        >>> group_people(5, links, [0.9, 0.8, 0.7], all_alike, separate=[(0, 2)]).tolist()
        [0, 0, 1, 2, 2]
    """
    couples = np.asarray(couples, np.int64).reshape(-1, 2)
    score = np.asarray(score, np.float64)
    apart = np.asarray(list(separate), np.int64).reshape(-1, 2)
    _check(num_people, couples, score, apart)
    enemies: dict[int, set[int]] = {}
    for one, other in apart.tolist():
        enemies.setdefault(one, set()).add(other)
        enemies.setdefault(other, set()).add(one)
    found = DisjointSet(range(num_people))
    for one, other in couples[np.argsort(-score, kind="stable")].tolist():
        if found.connected(one, other):
            continue
        first, second = found.subset(one), found.subset(other)
        if any(not second.isdisjoint(enemies.get(member, ())) for member in first):
            continue
        if compatible(np.array(sorted(first)), np.array(sorted(second))):
            found.merge(one, other)
    roots = np.array([found[person] for person in range(num_people)], np.int64)
    _, first, group = np.unique(roots, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group]


def _check(num_people: int, couples: NDArray, score: NDArray, apart: NDArray) -> None:
    if score.shape != (len(couples),) or np.isnan(score).any():
        raise ValueError(
            f"score must be a number for each of {len(couples)} couples. "
            f"Received: shape={score.shape}, {np.count_nonzero(np.isnan(score))} of them NaN."
        )
    named = np.concatenate([couples.ravel(), apart.ravel()])
    if named.size and (named.min() < 0 or named.max() >= num_people):
        raise ValueError(
            f"couples must be rows of {num_people} people. Received: {named.min()} to "
            f"{named.max()}."
        )
