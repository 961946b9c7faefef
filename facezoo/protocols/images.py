"""Where the images of a protocol come from: a folder, or the pack they lie in."""

import hashlib
import os
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from facezoo.protocols.checks import listing

SUFFIXES: Final = (".jpg", ".jpeg", ".png")


class ImageSource(typing.Protocol):
    """Encoded images by name."""

    def check(self, names: Sequence[str]) -> None:
        """Raises FileNotFoundError that lists the images which are not there."""

    def read(self, name: str) -> bytes:
        """Returns the encoded image."""


def pack_image_name(number: int, encoded: bytes) -> str:
    """Names an image of a pack, so that the same name in another pack is another image.

    Args:
        number: Its place in the pack, from 0.
        encoded: Its bytes.

    Example:
        >>> pack_image_name(7, b"...")
        '000007-ab5df625bc76dbd4'
    """
    return f"{number:06d}-{hashlib.sha256(encoded).hexdigest()[:16]}"


class PackImages:
    """The images of a pack, by `pack_image_name`.

    Args:
        encoded: The images in their order.
    """

    def __init__(self, encoded: Iterable[bytes]) -> None:
        self._encoded = {pack_image_name(number, one): one for number, one in enumerate(encoded)}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all images in their order."""
        return tuple(self._encoded)

    def check(self, names: Sequence[str]) -> None:
        missing = [name for name in names if name not in self._encoded]
        if missing:
            raise FileNotFoundError(
                f"{len(missing):,} of {len(names):,} images are not in the pack of "
                f"{len(self._encoded):,}: {listing(missing)}. Give the pack that the protocol was "
                "made of: names hold a part of each image's checksum."
            )

    def read(self, name: str) -> bytes:
        self.check([name])
        return self._encoded[name]


class ImageFolder:
    """The images below a folder, by their paths relative to it.

    A name may leave its suffix out, and a suffix fits in capitals too; the rest must be spelt as
    on disk. A name that two files fit is refused, and so is one that leads out of the folder.

    Args:
        root: The folder.
        suffixes: Those of images, lower case with the dot.

    Raises:
        NotADirectoryError: There is no such folder.
    """

    def __init__(self, root: str | os.PathLike[str], suffixes: Sequence[str] = SUFFIXES) -> None:
        self._root, self._suffixes = Path(root), tuple(suffixes)
        # By folder: the files' names by name without suffix.
        self._found: dict[str, dict[str, list[str]]] = {}
        if not self._root.is_dir():
            raise NotADirectoryError(
                f"Images come from a folder. Received: {os.fspath(root)!r}, which is "
                f"{'a file' if self._root.exists() else 'not there'}."
            )

    def check(self, names: Sequence[str]) -> None:
        """Looks for every image, opens none.

        Raises:
            FileNotFoundError: Images are missing; the message counts and lists them.
            ValueError: Names lead out of the folder, or several files fit one.
        """
        missing, ambiguous = [], []
        for name in names:
            files = self._files(name)
            if not files:
                missing.append(name)
            elif len(files) > 1:
                ambiguous.append(f"{name} ({' or '.join(files)})")
        if missing:
            raise FileNotFoundError(
                f"{len(missing):,} of {len(names):,} images are missing in {self._root}: "
                f"{listing(missing)}. {self._cause(missing, len(names))}"
            )
        if ambiguous:
            raise ValueError(
                f"Several files in {self._root} fit one name. Remove or rename all but one for "
                f"each of {len(ambiguous):,} names: {listing(ambiguous)}."
            )

    def read(self, name: str) -> bytes:
        """Returns the encoded image.

        Raises:
            OSError: It is missing or cannot be read.
            ValueError: As `check`.
        """
        self.check([name])
        folder, (file,) = PurePosixPath(name).parent, self._files(name)
        return (self._root / folder / file).read_bytes()

    def _files(self, name: str) -> list[str]:
        """Returns the files that a name fits, without their folder."""
        path = PurePosixPath(name)
        # A Windows path has an anchor wherever a POSIX path has one.
        if not path.name or ".." in path.parts or PureWindowsPath(name).anchor:
            raise ValueError(
                f"Image names are relative to {self._root}, with '/' between folders, and do not "
                f"lead out of it. Received: {name!r}."
            )
        files = self._listing(str(path.parent)).get(self._stem(path.name), [])
        if self._stem(path.name) == path.name:
            return files
        # With a suffix: that very file, else one whose suffix differs in capitals only.
        exact = [file for file in files if file == path.name]
        return exact or [file for file in files if file.lower().endswith(path.suffix.lower())]

    def _listing(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._found:
            files: dict[str, list[str]] = {}
            try:
                with os.scandir(self._root / folder) as entries:
                    for name in sorted(entry.name for entry in entries if entry.is_file()):
                        if self._stem(name) != name:
                            files.setdefault(self._stem(name), []).append(name)
            except (FileNotFoundError, NotADirectoryError):
                pass  # Its images are missing, and listed as such.
            self._found[folder] = files
        return self._found[folder]

    def _stem(self, name: str) -> str:
        stem, suffix = os.path.splitext(name)
        return stem if suffix.lower() in self._suffixes else name

    def _cause(self, missing: Sequence[str], num_names: int) -> str:
        suffixes = " ".join(self._suffixes)
        if len(missing) < num_names:
            return f"Copy them there; expected are the suffixes {suffixes}, in small or capitals."
        with os.scandir(self._root) as entries:
            held = sorted(entry.name for entry in entries)
        for folder in held:
            if (self._root / folder).is_dir() and self._files(f"{folder}/{missing[0]}"):
                return f"They lie in {self._root / folder}: give that folder."
        return (
            f"None is there, so it may be another folder. Expected: files such as "
            f"{self._root / missing[0]} with one of the suffixes {suffixes}. "
            f"It holds: {listing(held) or 'nothing'}."
        )
