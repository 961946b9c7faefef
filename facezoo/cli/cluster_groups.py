"""Photographs grouped by person: groups with names, the largest first, those who are alone last."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.metrics import cluster, cluster_shapes

_LEAST_DIGITS: Final = 4


@dataclass(frozen=True)
class Member:
    """One photograph of a group.

    Args:
        path: Its file.
        distance: Mean squared distance to the others of the group; None if there is none.
    """

    path: str
    distance: float | None


@dataclass(frozen=True)
class Group:
    """What seems to be one person.

    Args:
        name: Such as `"person-0001"`.
        members: Its photographs, the most typical first.
        inside: Mean squared distance of two of them; None if there is only one.
        nearest: Name of the group that is nearest in the mean; None if there is no other.
        nearest_distance: That mean distance; None likewise.
    """

    name: str
    members: tuple[Member, ...]
    inside: float | None
    nearest: str | None
    nearest_distance: float | None


def group_pictures(
    paths: Sequence[str], embedding: NDArray[np.float32], threshold: float, linkage: str
) -> list[Group]:
    """Groups photographs.

    Args:
        paths: The files, N of them, one at least.
        embedding: float32 [N, D], unit length.
        threshold: Squared L2 distance up to which groups are joined.
        linkage: As `facezoo.metrics.cluster`.

    Returns:
        Groups by size, of equal size by their first photograph.

    Raises:
        ValueError: As `facezoo.metrics.cluster`.
    """
    found = cluster(embedding, threshold, linkage)
    shapes = cluster_shapes(embedding, found)
    order = np.argsort(-shapes.size, kind="stable")
    digits = max(_LEAST_DIGITS, len(str(len(order))))
    names = {place: f"person-{rank:0{digits}}" for rank, place in enumerate(order.tolist(), 1)}
    by_group = np.lexsort((np.nan_to_num(shapes.to_others), found))
    rows = np.split(by_group, np.cumsum(shapes.size)[:-1])

    def group(place: int) -> Group:
        members = (Member(paths[row], _number(shapes.to_others[row])) for row in rows[place])
        return Group(
            names[place],
            tuple(members),
            _number(shapes.inside[place]),
            names.get(int(shapes.nearest[place])),
            _number(shapes.distance[place]),
        )

    return [group(place) for place in order.tolist()]


def _number(value: float) -> float | None:
    # As many digits as a float32 has.
    return None if np.isnan(value) else float(f"{value:.6g}")
