"""Photographs from files, decoded by the same function that fills the data sets."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from facezoo.data.images import UnreadableImage, decode_rgb
from facezoo.data.sources import EXTENSIONS

PICTURES: Final = "a photograph, a folder, which is searched at any depth, or a quoted pattern"
_SUFFIXES: Final = frozenset(map(os.fsdecode, EXTENSIONS))
_SUFFIX_NAMES: Final = ", ".join(sorted(_SUFFIXES))


def read_picture(path: str) -> np.ndarray:
    """Reads one photograph.

    Args:
        path: A file of any format that ExampleGen reads.

    Returns:
        uint8 [H, W, 3], RGB, upright.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no usable image.
    """
    try:
        return decode_rgb(Path(path).read_bytes())
    except UnreadableImage as error:
        raise ValueError(f"{path} is no usable image: {error}") from error


def find_pictures(arguments: Sequence[str]) -> list[str]:
    """Finds the photographs that the arguments of a verb name.

    A file counts whatever its suffix is, also one that is not there: reading it tells why. A folder
    gives the files with a suffix that ExampleGen takes, at any depth; symbolic links in it are left
    out, and told of. A pattern (`*`, `?`, `[..]`, and `**` for folders at any depth) gives what it
    fits: files as they are, and folders as above.

    Args:
        arguments: Files, folders and patterns.

    Returns:
        Paths in the order of the arguments, sorted within each. A file that is met again, be it
        under another name, is left out.

    Raises:
        OSError: A folder cannot be listed.
        ValueError: There are no arguments, or a folder or a pattern gives nothing.
    """
    if not arguments:
        raise ValueError(f"What is there to look at? Expected: {PICTURES}. Received: nothing.")
    found: dict[object, str] = {}
    for argument in arguments:
        for path in _paths(argument):
            found.setdefault(_identity(path), path)
    return list(found.values())


def under(path: str, folder: str | os.PathLike[str]) -> bool:
    """Tells whether a file lies in a folder, at any depth."""
    place, above = os.path.abspath(os.path.dirname(path)), os.path.realpath(folder)
    return os.path.commonpath([os.path.realpath(place), above]) == above


def _paths(argument: str) -> list[str]:
    """What one argument gives, sorted."""
    if os.path.isdir(argument):
        found, expected = _search([argument]), f"files that end in {_SUFFIX_NAMES}, at any depth"
    elif os.path.exists(argument) or not glob.has_magic(argument):
        return [argument]
    else:
        pattern = os.path.expanduser(argument)
        found = _search(glob.glob(pattern, recursive=True, include_hidden=True))
        expected = (
            f"files that fit this pattern, where ** stands for folders at any depth, and files "
            f"that end in {_SUFFIX_NAMES} in folders that fit it"
        )
    if not found:
        raise ValueError(
            f"There is no photograph in {argument!r}. Looked for, from {os.getcwd()}: {expected}."
        )
    return found


def _search(places: Sequence[str]) -> list[str]:
    """Files as they are, and the pictures in folders."""
    found, links = set(), set()
    for place in places:
        if not os.path.isdir(place):
            found.add(place)
            continue
        for path in _walk(place):
            if os.path.splitext(path)[1].lower() in _SUFFIXES:
                (links if os.path.islink(path) else found).add(path)
    if left_out := links - found:
        print(
            f"facezoo: {len(left_out)} symbolic links in folders were left out, such as "
            f"{min(left_out)!r}. To have them too, give a pattern that they fit.",
            file=sys.stderr,
        )
    return sorted(found)


def _walk(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        # What is left out silently would be missed by nobody.
        raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (os.path.join(place, name) for name in names)


def _identity(path: str) -> object:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return os.path.abspath(path)
    return status.st_dev, status.st_ino
