"""Weight files of any framework to named arrays; told apart by content, not by ending."""

import os
import zipfile
from pathlib import Path

import numpy as np

from facezoo.conversion import pytorch_files, tensorflow_files

_PICKLE = b"\x80"
_ZIP = b"PK"


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads every array of a weight file. No code from the file runs.

    Args:
        path: A PyTorch checkpoint (`.pt`, `.pth`, `.ckpt` ..), an `.npz`, a frozen TensorFlow graph
            (`.pb`), or a TensorFlow checkpoint: its prefix, one of its files or its folder.

    Returns:
        float32 arrays by name.

    Raises:
        OSError: There is no such file, or it cannot be opened.
        ValueError: It is empty, cut off, of another kind, or brings Python objects along.
    """
    path = Path(path)
    if checkpoint := tensorflow_files.find_checkpoint(path):
        return tensorflow_files.read_checkpoint(checkpoint)
    if not path.exists():
        raise FileNotFoundError(f"There is no weight file {path}. Check the path.")
    with path.open("rb") as file:
        start = file.read(len(_ZIP))
    if not start:
        raise ValueError(f"{path} is empty. Copy it again.")
    if start == _ZIP:
        return _read_zip(path)
    if start.startswith(_PICKLE):
        return pytorch_files.read(path)
    return tensorflow_files.read_graph(path)


def _read_zip(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
        if members and all(name.endswith(".npy") for name in members):
            return _read_npz(path)
    except Exception as error:
        # zipfile, zlib and NumPy each have their own words for damage.
        raise ValueError(
            f"{path} is cut off or damaged, or holds objects besides numbers: {error}. "
            "Copy it again."
        ) from error
    return pytorch_files.read(path)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    # Pickled objects in it could run code.
    with np.load(path, allow_pickle=False) as file:
        return {name: np.asarray(file[name], np.float32) for name in file.files}
