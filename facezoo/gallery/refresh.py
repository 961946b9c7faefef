"""What it takes to bring a gallery in line with the folder that it was enrolled from."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from facezoo.gallery.entry import Picture


@dataclass(frozen=True)
class RefreshPlan:
    """What is to be done.

    Args:
        added: Pictures to embed and enrol, new or changed.
        changed: How many of these have the name of a picture whose bytes were others.
        moved: Pictures that are there under another name or person of the same origin; they need
            not be embedded again.
        vanished: Pictures to drop, those that were changed among them.
        unchanged: How many are there as they should be.
        conflicts: Pictures that are, or are listed, as somebody else's too, and with whose name.
    """

    added: tuple[Picture, ...]
    changed: int
    moved: tuple[Picture, ...]
    vanished: tuple[Picture, ...]
    unchanged: int
    conflicts: tuple[tuple[Picture, str], ...]

    def dropped(self, failed: Collection[str]) -> list[str]:
        """Digests to drop.

        Args:
            failed: Sources that are there, but could not be read: their old pictures stay.
        """
        return [one.digest for one in self.vanished if one.source not in failed]


def plan_refresh(
    listed: Iterable[Picture], enrolled: Iterable[Picture], elsewhere: Mapping[str, Picture]
) -> RefreshPlan:
    """Compares a folder with what was enrolled from it.

    Args:
        listed: What the folder holds, all of one origin.
        enrolled: What the gallery holds of that origin.
        elsewhere: What it holds of other origins, by digest.

    Example:
        >>> old = [Picture("ann", "ann/1.jpg", "d1", "/people"),
        ...        Picture("ann", "ann/2.jpg", "d2", "/people")]
        >>> new = [Picture("ann", "ann/1.jpg", "d1", "/people"),
        ...        Picture("bob", "bob/1.jpg", "d3", "/people")]
        >>> plan = plan_refresh(new, old, {})
        >>> [one.source for one in plan.added], [one.source for one in plan.vanished]
        (['bob/1.jpg'], ['ann/2.jpg'])
    """
    before = {picture.digest: picture for picture in enrolled}
    sources = {picture.source for picture in before.values()}
    first: dict[str, Picture] = {}
    added, moved, conflicts, unchanged = [], [], [], 0
    # What is there under its own name comes first, so that its copies do not take its place.
    for picture in sorted(listed, key=lambda one: before.get(one.digest) != one):
        holder = first.setdefault(picture.digest, elsewhere.get(picture.digest, picture))
        if holder.identity != picture.identity:
            conflicts.append((picture, holder.identity))
        elif holder is not picture or before.get(picture.digest) == picture:
            unchanged += 1
        elif picture.digest in before:
            moved.append(picture)
        else:
            added.append(picture)
    return RefreshPlan(
        tuple(added),
        sum(picture.source in sources for picture in added),
        tuple(moved),
        tuple(picture for digest, picture in before.items() if digest not in first),
        unchanged,
        tuple(conflicts),
    )
