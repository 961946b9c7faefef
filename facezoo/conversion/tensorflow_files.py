"""Reads what TensorFlow 1 wrote: frozen graphs and checkpoints."""

import re
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

_CHECKPOINT_PART = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")
_NUMERIC = "fiu"


def find_checkpoint(path: Path) -> str | None:
    """Returns the prefix of a checkpoint's files.

    Args:
        path: The prefix itself, one of its files, or a folder, whose latest checkpoint counts.

    Returns:
        None if the path is nothing of the kind.

    Raises:
        ValueError: The folder holds no checkpoint, or several and no word on which is the latest.
    """
    if path.is_dir():
        return _latest(path)
    prefix = _CHECKPOINT_PART.sub("", str(path))
    return prefix if Path(f"{prefix}.index").is_file() else None


def _latest(folder: Path) -> str:
    if latest := tf.train.latest_checkpoint(folder):
        return latest
    prefixes = sorted(str(file.with_suffix("")) for file in folder.glob("*.index"))
    if len(prefixes) != 1:
        raise ValueError(
            f"{folder} must hold one TensorFlow checkpoint, or several and a file `checkpoint` "
            f"that names the latest. Received: {', '.join(prefixes) or 'none'}. "
            "Give one of its files instead."
        )
    return prefixes[0]


def read_checkpoint(prefix: str) -> dict[str, np.ndarray]:
    """Reads every number of a checkpoint.

    Args:
        prefix: Path of its files without `.index` and the like.

    Returns:
        float32 arrays by variable name.

    Raises:
        ValueError: Its files are damaged or incomplete.
    """
    try:
        reader = tf.train.load_checkpoint(prefix)
        arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except Exception as error:
        # TensorFlow turns its status codes into many kinds of Python errors.
        raise ValueError(
            f"{prefix} is no whole TensorFlow checkpoint: {_first_line(error)}. "
            "Copy all its files again (.index and .data-...)."
        ) from error
    return _floats(arrays)


def read_graph(path: Path) -> dict[str, np.ndarray]:
    """Reads the constants of a frozen graph, which its variables have become.

    Args:
        path: A serialised GraphDef.

    Returns:
        float32 arrays by node name; settings of operations, such as paddings, are among them.

    Raises:
        ValueError: The file is damaged or no GraphDef.
    """
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
        constants = {
            node.name: tf.make_ndarray(node.attr["value"].tensor)
            for node in graph.node
            if node.op == "Const"
        }
    except (DecodeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no weight file, or cut off: {_first_line(error)}. Expected: a PyTorch "
            "checkpoint, an .npz, a frozen TensorFlow graph (.pb) or a TensorFlow checkpoint."
        ) from error
    return _floats(constants)


def _floats(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: np.asarray(array, np.float32)
        for name, array in arrays.items()
        if np.asarray(array).dtype.kind in _NUMERIC
    }


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
