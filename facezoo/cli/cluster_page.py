"""The page on which a person looks through the groups that `cluster` made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from facezoo.cli.cluster_groups import Group, Member
from facezoo.pages import Picture, environment, small_picture

MAX_GROUPS: Final = 200
MAX_MEMBERS: Final = 12
MAX_ALONE: Final = 300
# Of a group that is not shown whole: its oddest, which are most likely to be wrong.
_ODDEST: Final = 3
_TEMPLATE: Final = "cluster.html.j2"
_SIDE: Final = 96


@dataclass(frozen=True)
class _Face:
    picture: Picture
    distance: float | None


@dataclass(frozen=True)
class _Sheet:
    group: Group
    faces: list[_Face]


def write_cluster_page(path: Path, groups: Sequence[Group], report: Mapping[str, Any]) -> None:
    """Writes one self-contained page: the largest groups first, then those who are alone.

    Args:
        path: The HTML file.
        groups: In the order of the page.
        report: What else is known: `num_pictures`, `unreadable`, `threshold`, `linkage`.

    Raises:
        OSError: The page cannot be written.
    """
    several = [group for group in groups if len(group.members) > 1]
    alone = [group for group in groups if len(group.members) == 1]
    content = (
        environment(__package__)
        .get_template(_TEMPLATE)
        .render(
            report=report,
            sheets=[_Sheet(one, list(_faces(one.members))) for one in several[:MAX_GROUPS]],
            num_groups=len(several),
            alone=[_Sheet(one, list(_faces(one.members))) for one in alone[:MAX_ALONE]],
            num_alone=len(alone),
            num_oddest=_ODDEST,
        )
    )
    # File names may hold bytes that are no text at all.
    path.write_text(content, encoding="utf-8", errors="backslashreplace", newline="\n")


def _faces(members: Sequence[Member]) -> Iterator[_Face]:
    if len(members) > MAX_MEMBERS:
        members = [*members[: MAX_MEMBERS - _ODDEST], *members[-_ODDEST:]]
    for member in members:
        yield _Face(small_picture(member.path, _read(member.path), _SIDE), member.distance)


def _read(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        # It was there when it was embedded: the page says that it no longer is.
        return None
