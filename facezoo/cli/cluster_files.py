"""The folder that `cluster` leaves: table, page, and a tree of links; it appears whole."""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from facezoo.cli.cluster_groups import Group
from facezoo.cli.cluster_page import write_cluster_page

NO_LINKS: Final = "none"
SYMLINK: Final = "symlink"
HARDLINK: Final = "hardlink"
COPY: Final = "copy"
LINKS: Final = (NO_LINKS, SYMLINK, HARDLINK, COPY)
TABLE: Final = "clusters.csv"
PAGE: Final = "report.html"
_ACCOUNT: Final = "clusters.json"
_TREE: Final = "links"
_ALONE: Final = "alone"
# In the account: what the tree holds, so that what a person put there is not taken away.
_LINKED: Final = "linked"


def check_replaceable(out: Path) -> None:
    """Refuses to replace what `cluster` did not write, or what was changed since.

    Args:
        out: The folder that is to be written.

    Raises:
        OSError: It cannot be listed.
        ValueError: Something in it would be lost.
    """
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir() or out.is_symlink():
        raise ValueError(f"--out must be a folder, new or of an earlier run. Received: {out}.")
    try:
        account = json.loads((out / _ACCOUNT).read_text(encoding="utf-8"))
        ours = {TABLE, PAGE, _ACCOUNT, *account[_LINKED]}
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    if strange := sorted(set(_files(out)) - ours):
        raise ValueError(
            f"{out} holds something that an earlier `cluster` did not write, such as "
            f"{strange[0]!r}. Move it away, or give another folder with --out."
        )


def write_clusters(
    out: Path, groups: Sequence[Group], report: Mapping[str, Any], links: str = NO_LINKS
) -> None:
    """Writes everything aside, and then puts it in the place of what is there.

    Args:
        out: The folder, which `check_replaceable` has passed.
        groups: The photographs.
        report: The content of clusters.json.
        links: One of `LINKS`: how photographs come into `links/`; they themselves are not touched.

    Raises:
        OSError: Something cannot be written, or the system cannot link.
    """
    out = Path(os.path.abspath(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as place:
        aside = Path(place, "new")
        aside.mkdir()
        _write_table(aside / TABLE, groups, report["unreadable"])
        write_cluster_page(aside / PAGE, groups, report)
        if links != NO_LINKS:
            _link(aside / _TREE, out / _TREE, groups, links)
        account = {**report, _LINKED: sorted(_files(aside / _TREE, f"{_TREE}/"))}
        text = json.dumps(account, indent=2) + "\n"
        (aside / _ACCOUNT).write_text(text, encoding="utf-8")
        if out.exists():
            os.replace(out, Path(place, "old"))
        os.replace(aside, out)


def _files(folder: Path, prefix: str = "") -> Iterator[str]:
    """Everything below a folder that is no folder, by its path from there."""
    for place, folders, names in os.walk(folder):
        linked = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for name in (*names, *linked):
            yield prefix + Path(place, name).relative_to(folder).as_posix()


def _write_table(
    path: Path, groups: Sequence[Group], unreadable: Sequence[Mapping[str, str]]
) -> None:
    # File names need not be UTF-8.
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "cluster", "distance", "error"))
        for group in groups:
            for one in group.members:
                distance = "" if one.distance is None else one.distance
                writer.writerow((one.path, group.name, distance, ""))
        for one in unreadable:
            writer.writerow((one["path"], "", "", one["error"]))


def _link(tree: Path, final: Path, groups: Sequence[Group], links: str) -> None:
    """Makes one folder a person, and one for all who are alone.

    Args:
        tree: Where it is made.
        final: Where it will lie: symbolic links lead from there.
        groups: The photographs.
        links: How.
    """
    make = _MAKERS[links]
    taken: set[tuple[str, str]] = set()
    for group in groups:
        folder = group.name if len(group.members) > 1 else _ALONE
        (tree / folder).mkdir(parents=True, exist_ok=True)
        for one in group.members:
            name = _free_name(folder, os.path.basename(one.path), taken)
            make(one.path, str(tree / folder / name), str(final / folder))


def _free_name(folder: str, name: str, taken: set[tuple[str, str]]) -> str:
    stem, suffix = os.path.splitext(name)
    number = 1
    # Some file systems hold `A.jpg` and `a.jpg` for one.
    while (folder, name.casefold()) in taken:
        number += 1
        name = f"{stem}-{number}{suffix}"
    taken.add((folder, name.casefold()))
    return name


def _symlink(path: str, place: str, folder: str) -> None:
    # From real path to real path: `..` in a link goes up from where the link really lies.
    os.symlink(os.path.relpath(os.path.realpath(path), os.path.realpath(folder)), place)


def _hardlink(path: str, place: str, folder: str) -> None:
    os.link(os.path.realpath(path), place)


def _copy(path: str, place: str, folder: str) -> None:
    shutil.copy2(path, place)


_MAKERS: Final[Mapping[str, Callable[[str, str, str], None]]] = {
    SYMLINK: _symlink,
    HARDLINK: _hardlink,
    COPY: _copy,
}
