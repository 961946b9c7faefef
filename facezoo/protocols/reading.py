"""Reads a protocol, or opens the images of one, by a word that says of what kind it is."""

import difflib
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from facezoo.protocols.file import load
from facezoo.protocols.ijb import read_ijb
from facezoo.protocols.images import ImageFolder, ImageSource, PackImages
from facezoo.protocols.lfw import read_lfw
from facezoo.protocols.pack import read_pack
from facezoo.protocols.pack_content import read_pack_content
from facezoo.protocols.pairs_csv import read_pairs_csv
from facezoo.protocols.protocol import Protocol
from facezoo.protocols.ytf import read_ytf

KINDS: Final[Mapping[str, Callable[..., Any]]] = {
    "lfw": read_lfw,
    "csv": read_pairs_csv,
    "pack": read_pack,
    "ijb": read_ijb,
    "ytf": read_ytf,
    "file": load,
}


def read(
    kind: str, path: str | os.PathLike[str], **options: Any
) -> tuple[Protocol, ImageSource | None]:
    """Reads a protocol, and its images where they lie in the same file.

    Args:
        kind: One of `KINDS`.
        path: A file; a folder for `"ijb"`.
        options: Those of the kind's reader; `"ytf"` needs `frames`, a folder.

    Returns:
        `(protocol, images)`; None for images of all kinds but `"pack"`: see `open_images`.

    Raises:
        OSError: Something cannot be read.
        ValueError: There is no such kind, an option is missing or not known, or the content does
            not fit.
    """
    if kind not in KINDS:
        nearest = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"A protocol must be one of {', '.join(KINDS)}. Received: {kind!r}.{hint}")
    signature = inspect.signature(KINDS[kind])
    try:
        signature.bind(path, **options)
    except TypeError as error:
        known = ", ".join([*signature.parameters][1:]) or "none"
        raise ValueError(
            f"Options of the kind {kind!r}: {known}. Received: {', '.join(options) or 'none'}; "
            f"{error}."
        ) from error
    found = KINDS[kind](Path(path), **options)
    return found if isinstance(found, tuple) else (found, None)


def open_images(path: str | os.PathLike[str]) -> ImageSource:
    """Opens a folder of images, or the pack of a protocol of that kind.

    Raises:
        OSError: There is nothing, or it cannot be read.
        ValueError: A file is no pack.
    """
    if os.path.isfile(path):
        return PackImages(read_pack_content(Path(path))[0])
    return ImageFolder(path)
