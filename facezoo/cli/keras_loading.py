"""Loads the Keras model itself, from a .keras file or a preset folder."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from absl import app

from facezoo import presets
from facezoo.models import FaceModel

_FORMS = "a .keras file, a preset folder (preset.json), or the name of a preset with weights"


def load_keras(path: str | None) -> tuple[FaceModel, Mapping[str, Any] | None]:
    """Loads a model that can be changed or written in another form.

    Args:
        path: A `.keras` file, a preset folder or the name of a preset.

    Returns:
        The model, and the content of the preset.json that was saved with it; None if there is none.

    Raises:
        app.UsageError: There is no path.
        OSError: A file is missing or cannot be read.
        ValueError: The path is none of these, or its content is broken.
    """
    if not path:
        raise app.UsageError(f"--model is needed: {_FORMS}.")
    place = Path(path)
    if place.suffix == ".keras" and place.is_file():
        return _load_file(place), _preset_beside(place)
    if path in presets.names() or (place / presets.PRESET_FILE).is_file():
        return _load_preset(path)
    what = "it is none of these" if place.exists() else "there is no such file or folder"
    raise ValueError(f"--model must be {_FORMS}. Received: {path!r}, but {what}.")


def has_preset_beside(file: Path) -> bool:
    """Tells whether a preset.json was saved with a .keras file."""
    return _preset_beside(file) is not None


def _load_file(file: Path) -> FaceModel:
    _check_whole(file)
    try:
        model = keras.models.load_model(file)
    except TypeError as error:
        # Keras adds the whole configuration in further lines.
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file} is no model of facezoo: {reason}") from error
    if not isinstance(model, FaceModel):
        raise ValueError(f"{file} must hold a FaceModel. Received: a {type(model).__name__}.")
    return model


def _load_preset(name_or_folder: str) -> tuple[FaceModel, Mapping[str, Any]]:
    preset = presets.load(name_or_folder)
    if preset["weights"] is None:
        raise ValueError(
            f"The preset {name_or_folder!r} has no weights: its embeddings would be random. "
            "Train it with `python -m pipelines.run`, and give the folder that it names."
        )
    _check_whole(preset["weights"])
    return FaceModel.from_preset(name_or_folder), preset


def _check_whole(weights: str | Path) -> None:
    """Raises ValueError for a damaged file, which Keras would report as missing."""
    try:
        with zipfile.ZipFile(weights) as archive:
            damaged = archive.testzip()
    except zipfile.BadZipFile as error:
        damaged = str(error)
    if damaged is not None:
        raise ValueError(f"{weights} is damaged or no Keras model: {damaged}. Copy it again.")


def _preset_beside(file: Path) -> Mapping[str, Any] | None:
    """The preset that was saved with these weights, not with others in the same folder."""
    if not (file.parent / presets.PRESET_FILE).is_file():
        return None
    preset = presets.load(file.parent)
    return preset if preset["weights"] == str(file.absolute()) else None
