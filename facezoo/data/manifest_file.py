"""One checked file per `PeopleManifest`: an .npz without pickle, written aside and renamed."""

import hashlib
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.data.near_duplicates import PictureHashes
from facezoo.data.people_manifest import PeopleManifest
from facezoo.data.references import Refusal

FORMAT: Final = 1
SUFFIX: Final = ".npz"
_HEADER: Final = "header"
_TEXTS: Final = "texts"
_EMBEDDINGS: Final = ("mean_embedding", "embedding", "norm")
# NumPy tells of a damaged file in many ways.
_DAMAGE = (
    *(ValueError, KeyError, TypeError, EOFError, OSError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


def save_manifest(manifest: PeopleManifest, path: str | Path) -> None:
    """Writes a manifest; equal manifests give equal bytes.

    The file holds names, and hashes and embeddings of faces, which are personal data as well.

    Args:
        manifest: What to write.
        path: A file ending in `.npz`; it is replaced, and appears when it is whole.

    Raises:
        ValueError: The path ends in something else.
        OSError: It cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"A manifest's file must end in {SUFFIX}. Received: {str(path)!r}.")
    columns = _columns(manifest)
    header = {
        "format": FORMAT,
        "num_people": len(manifest.people),
        "num_images": len(manifest.file),
        "sha256": _digest(columns),
    }
    aside = path.with_name(path.name + ".partial")
    try:
        with open(aside, "wb") as file:
            text = np.array(json.dumps(header, sort_keys=True))
            np.savez_compressed(file, **{_HEADER: text}, **columns)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def load_manifest(path: str | Path) -> PeopleManifest:
    """Reads what `save_manifest` wrote, and checks it.

    Raises:
        OSError: There is no such file, or it cannot be opened.
        ValueError: It is no manifest, is damaged, or was written in a newer format.
    """
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                header = json.loads(str(archive[_HEADER]))
                columns = {name: archive[name] for name in archive.files if name != _HEADER}
        except _DAMAGE as error:
            raise _unusable(path, f"it cannot be read ({error})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else header
        raise _unusable(path, f"its format is {found!r}, expected {FORMAT}")
    if _digest(columns) != header.get("sha256"):
        raise _unusable(path, "its content does not fit its checksum")
    manifest = _manifest(columns)
    for what, found in (("num_people", manifest.people), ("num_images", manifest.file)):
        if len(found) != header.get(what):
            raise _unusable(path, f"{what} is {header.get(what)}, but there are {len(found)}")
    return manifest


def _columns(manifest: PeopleManifest) -> dict[str, NDArray]:
    texts = {name: getattr(manifest, name) for name in ("name", "people", "file", "witness")}
    texts["refusals"] = [list(refusal) for refusal in manifest.refusals]
    hashes = manifest.hashes
    columns = {
        _TEXTS: np.frombuffer(json.dumps(texts, sort_keys=True).encode(), np.uint8),
        "person": manifest.person,
        **{name: getattr(hashes, name) for name in ("digest", "coarse", "fine", "hashed")},
    }
    vectors = {name: getattr(manifest, name) for name in _EMBEDDINGS}
    return columns | {name: value for name, value in vectors.items() if value is not None}


def _manifest(columns: Mapping[str, NDArray]) -> PeopleManifest:
    texts: dict[str, Any] = json.loads(columns[_TEXTS].tobytes())
    return PeopleManifest(
        texts["name"],
        tuple(texts["people"]),
        tuple(texts["file"]),
        columns["person"],
        PictureHashes(*(columns[name] for name in ("digest", "coarse", "fine", "hashed"))),
        tuple(Refusal(*refusal) for refusal in texts["refusals"]),
        texts["witness"],
        *(columns.get(name) for name in _EMBEDDINGS),
    )


def _digest(columns: Mapping[str, NDArray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(columns):
        column = np.ascontiguousarray(columns[name])
        digest.update(f"{name} {column.dtype.str} {column.shape} ".encode())
        digest.update(column.data)
    return digest.hexdigest()


def _unusable(path: str | Path, what: str) -> ValueError:
    return ValueError(
        f"{path} is no usable manifest of people: {what}. Make it anew with "
        "`python -m facezoo overlap`, or copy it again."
    )
