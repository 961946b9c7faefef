"""The ground: finds a preset by name or folder and returns plain data; knows no model class."""

import difflib
import importlib.resources
import json
import os
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

PRESET_FILE: Final = "preset.json"
_CONFIGS: Final = "preset_configs"
_REQUIRED: Final[Mapping[str, tuple[type, ...]]] = {
    "name": (str,),
    "backbone": (dict,),
    "embedding_dim": (int,),
    "embedding_pooling": (str,),
    "head": (dict, type(None)),
    "preprocessing": (dict,),
    "weights": (str, type(None)),
    "thresholds": (dict, type(None)),
    "card": (str, type(None)),
}
_OPTIONAL: Final[Mapping[str, tuple[type, ...]]] = {
    "auxiliary_loss": (dict, type(None)),
    "crop_statistics": (dict, type(None)),
    "embedding_batch_norm": (bool, str, type(None)),
    "embedding_options": (dict, type(None)),
}
_JSON_NAMES: Final = {str: "text", dict: "an object", int: "a number", bool: "true or false"}


def names() -> list[str]:
    """Returns the sorted names of the built-in presets.

    Example:
        >>> "nn4_small2" in names()
        True
    """
    return sorted(file.name.removesuffix(".json") for file in _built_in().iterdir())


def load(name_or_folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Finds a preset and returns its checked content.

    Args:
        name_or_folder: A built-in name, which wins over a folder of the same name (write
            `./nn4` for that), or a folder with a preset.json.

    Returns:
        The fields of preset.json: `name`, `backbone`, `embedding_dim`, `embedding_pooling`,
        `embedding_batch_norm` and `embedding_options` (None: as the backbone was published),
        `head`, `auxiliary_loss`, `preprocessing`, `weights`, `thresholds`, `crop_statistics`,
        `card`. `weights` is an absolute path or None.

    Raises:
        FileNotFoundError: The folder, its preset.json or its weights are not there.
        ValueError: The name is unknown, or the content is not a preset.

    Example:
        >>> load("nn4_small2")["preprocessing"]["height"]
        96
    """
    if name_or_folder in names():
        text = (_built_in() / f"{name_or_folder}.json").read_text(encoding="utf-8")
        return _parse(text, f"built-in preset {name_or_folder!r}")
    folder = Path(name_or_folder)
    file = folder / PRESET_FILE
    if not file.is_file():
        raise _not_found(str(name_or_folder), folder)
    preset = _parse(file.read_text(encoding="utf-8"), str(file))
    if preset["weights"] is not None:
        weights = (folder / preset["weights"]).absolute()
        if not weights.is_file():
            raise FileNotFoundError(
                f"{file} names the weights {preset['weights']!r}, but {weights} is not there. "
                "Copy the whole preset folder."
            )
        preset["weights"] = str(weights)
    return preset


def save(folder: str | os.PathLike[str], preset: Mapping[str, Any]) -> Path:
    """Writes preset.json, which appears only when it is whole; equal presets give equal bytes.

    Args:
        folder: Existing folder.
        preset: The fields as `load` returns them. Weights within the folder are written relative
            to it, so that the folder can be moved.

    Returns:
        The file.

    Raises:
        ValueError: The content is not a preset, or its weights lie outside the folder.
    """
    folder = Path(folder).absolute()
    content = _check(dict(preset), "the preset to save")
    if content["weights"] is not None:
        weights = Path(os.path.normpath(folder / content["weights"]))
        if not weights.is_relative_to(folder):
            raise ValueError(
                f"The weights of a preset must lie in its folder. Expected: a file in {folder}. "
                f"Received: {content['weights']!r}. Copy them there first."
            )
        content["weights"] = weights.relative_to(folder).as_posix()
    file = folder / PRESET_FILE
    partial = folder / (PRESET_FILE + ".partial")
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)
    return file


def _built_in() -> Traversable:
    return importlib.resources.files("facezoo") / _CONFIGS


def _not_found(asked: str, folder: Path) -> Exception:
    if folder.is_dir():
        return FileNotFoundError(
            f"{folder} is no preset folder: it holds no {PRESET_FILE}. "
            "Give the folder that `FaceModel.save_preset` or the pipeline's ModelCardGen wrote."
        )
    if folder.exists():
        return ValueError(
            f"A preset is a built-in name or a folder with a {PRESET_FILE}. "
            f"Received: the file {asked!r}. Give the folder it lies in."
        )
    nearest = difflib.get_close_matches(asked, names(), n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return ValueError(
        f"Unknown preset {asked!r}: no built-in name and no folder.{hint} "
        f"Built in: {', '.join(names())}."
    )


def _parse(text: str, origin: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{origin} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{origin} must hold an object. Received: {type(content).__name__}.")
    return _check(content, origin)


def _check(content: dict[str, Any], origin: str) -> dict[str, Any]:
    """Returns the content with every optional key present."""
    known = {**_REQUIRED, **_OPTIONAL}
    missing, unknown = set(_REQUIRED) - set(content), set(content) - set(known)
    if missing or unknown:
        raise ValueError(
            f"{origin} is not a preset. Missing: {', '.join(sorted(missing)) or 'nothing'}. "
            f"Unknown: {', '.join(sorted(unknown)) or 'nothing'}. "
            f"Known keys: {', '.join(sorted(known))}."
        )
    for key, types in known.items():
        # The exact type: to isinstance, `true` is a number.
        if type(content.setdefault(key, None)) not in types:
            allowed = " or ".join(_JSON_NAMES.get(kind, "null") for kind in types)
            raise ValueError(f"{origin}: {key} must be {allowed}. Received: {content[key]!r}.")
    if set(content["backbone"]) != {"name", "overrides"}:
        raise ValueError(
            f'{origin}: backbone must be {{"name": .., "overrides": {{..}}}}. '
            f"Received: {content['backbone']!r}."
        )
    if content["head"] is not None and "name" not in content["head"]:
        raise ValueError(f"{origin}: head must have a name. Received: {content['head']!r}.")
    return content
