"""The file that TensorFlow Serving starts from: which versions it loads, and what they are called.

A serving folder holds `<name>/<version>/saved_model.pb` for every model, and `models.config`, a
ModelServerConfig as text. A client asks for a version by number, by label or by neither, which is
the newest.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

CONFIG_FILE: Final = "models.config"
# Where the server's container has the serving folder.
MODELS_DIR: Final = "/models"
MODEL_NAME: Final = "facezoo"
# The newest version, and the one before it.
CANARY: Final = "canary"
STABLE: Final = "stable"
# Two have a label. The server gives a label to loaded versions only, and drops the oldest when a
# new one comes: the third is what keeps `stable` answering until it is moved.
NUM_VERSIONS: Final = 3
_PLATFORM: Final = "tensorflow"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def check_name(name: str) -> None:
    """Raises ValueError for what cannot name a model: a folder, and a part of the server's URLs."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"model_name must be a letter, followed by letters, digits, _ or -. Received: {name!r}."
        )


def server_flags(models_dir: str = MODELS_DIR) -> list[str]:
    """Returns what `tensorflow_model_server` is started with to serve a folder as written here.

    The second flag lets it follow the file; the last lets labels stand in the file it starts from,
    before it has loaded anything.
    """
    return [
        f"--model_config_file={models_dir.rstrip('/')}/{CONFIG_FILE}",
        "--model_config_file_poll_wait_seconds=30",
        "--allow_version_labels_for_unavailable_models=true",
    ]


def find_versions(folder: Path) -> dict[int, Path]:
    """Returns the versions of a model, smallest first; {} where there is no folder."""
    if not folder.is_dir():
        return {}
    paths = [path for path in folder.iterdir() if path.name.isascii() and path.name.isdigit()]
    return dict(sorted((int(path.name), path) for path in paths))


def labels(versions: Sequence[int]) -> dict[str, int]:
    """Returns the version of each label; versions in ascending order.

    Example:
        >>> labels([1])
        {'stable': 1, 'canary': 1}
        >>> labels([1, 2, 5])
        {'stable': 2, 'canary': 5}
    """
    return {STABLE: versions[-2:][0], CANARY: versions[-1]} if versions else {}


def read_config(serving_dir: Path) -> ModelServerConfig:
    """Returns what `models.config` holds; an empty message where there is none.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no model config.
    """
    path = serving_dir / CONFIG_FILE
    if not path.exists():
        return ModelServerConfig()
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is no ModelServerConfig of TensorFlow Serving: {str(error).rstrip('.')}. "
            "Mend it, or delete it: then a new one is written."
        ) from error


def find_entry(config: ModelServerConfig, name: str) -> ModelConfig | None:
    """Returns a model's entry; None if it has none."""
    entries = (one for one in config.model_config_list.config if one.name == name)
    return next(entries, None)


def is_pinned(entry: ModelConfig) -> bool:
    """Whether somebody has chosen the versions by number, as for a roll-back."""
    return entry.model_version_policy.HasField("specific")


def update_config(serving_dir: Path, name: str, models_dir: str = MODELS_DIR) -> None:
    """Lets the labels of a model follow the versions that are there; adds its entry if need be.

    What somebody has written stays: other models, other labels, another place or policy. An entry
    that `is_pinned` stays as it is, labels too. The file is replaced as a whole, and only if it
    changes; whoever calls keeps other writers away.

    Args:
        serving_dir: Holds `<name>/<version>/`.
        name: Of the model.
        models_dir: The serving folder as the server sees it; for a new entry.

    Raises:
        OSError: The file cannot be read or written.
        ValueError: The file is no model config.
    """
    config = read_config(serving_dir)
    before = config.SerializeToString(deterministic=True)
    entry = find_entry(config, name)
    if entry is None:
        entry = config.model_config_list.config.add(
            name=name, base_path=f"{models_dir.rstrip('/')}/{name}", model_platform=_PLATFORM
        )
        entry.model_version_policy.latest.num_versions = NUM_VERSIONS
    if not is_pinned(entry):
        entry.version_labels.update(labels(_loaded(entry, list(find_versions(serving_dir / name)))))
    if config.SerializeToString(deterministic=True) != before:
        _replace(serving_dir / CONFIG_FILE, text_format.MessageToString(config))


def _loaded(entry: ModelConfig, versions: list[int]) -> list[int]:
    """Those of the versions that the server loads by an entry's policy."""
    policy = entry.model_version_policy
    if policy.HasField("all"):
        return versions
    # Without a policy, and without a number, the server takes the newest alone.
    return versions[-(policy.latest.num_versions or 1) :]


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.partial")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
