"""Loads a model from whichever of its forms a path names, so that verbs need not ask."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from facezoo import presets, shapes
from facezoo.data.decode import resize
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.test_time import TestTime
from facezoo.models import FaceModel, model_fingerprint
from facezoo.serving import EXTRA_DIR, ServedModel
from facezoo.thresholds import check_bound

_FORMS = (
    "a .keras file, a preset folder (preset.json), a SavedModel directory (saved_model.pb), "
    "a serving directory (numbered versions), or the name of a preset with weights"
)


@dataclass(frozen=True)
class LoadedModel:
    """A model and what it takes to use it.

    Args:
        embed: Images uint8 [H, W, 3], each of any size, to NumPy
            `{"embedding": float32 [N, D], "norm": float32 [N]}`.
        fingerprint: Of the weights.
        preprocessing: What is done to a picture first; None if it is not known.
        thresholds: The table that was stored with the model; None if nothing was measured.
    """

    embed: Callable[[Sequence[np.ndarray]], dict[str, np.ndarray]]
    fingerprint: str
    preprocessing: Preprocessing | None
    thresholds: Mapping[str, Any] | None

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) of the network's input; None if it is not known."""
        return self.preprocessing and (self.preprocessing.height, self.preprocessing.width)

    def bound_thresholds(self, view: TestTime) -> Mapping[str, Any] | None:
        """Returns the table after a look at what it was measured with; None if there is none.

        Args:
            view: What is done to a picture beside the model's own preprocessing.

        Raises:
            ValueError: The table belongs to other weights, or to something else done to pictures.
        """
        if self.thresholds is not None:
            preprocessing = self.preprocessing
            bound = None if preprocessing is None else view.binding(preprocessing.fingerprint())
            check_bound(self.thresholds, self.fingerprint, bound)
        return self.thresholds

    def embed_views(self, images: Sequence[np.ndarray], view: TestTime) -> np.ndarray:
        """Embeds pictures by all their views, unit float32 [N, D].

        Args:
            images: uint8 [H, W, 3] each, of any size.
            view: What is done to them.
        """
        shown = [one for image in images for one in view.views(image, self.input_size)]
        embedding = self.embed(shown)[shapes.EMBEDDING]
        return view.combine(embedding.reshape(len(images), -1, embedding.shape[-1]))


def define_flag(flag_values: flags.FlagValues) -> None:
    """Adds `--model`."""
    flags.DEFINE_string("model", None, f"The model: {_FORMS}.", flag_values=flag_values)


def load(path: str | None) -> LoadedModel:
    """Finds out what a path is, and loads the model.

    Args:
        path: One of the forms that `--model` lists. Thresholds are those in the preset.json of the
            folder, beside the `.keras` file, or in the SavedModel's `assets.extra`.

    Raises:
        app.UsageError: There is no path.
        OSError: A file is missing or cannot be read.
        ValueError: The path is none of the forms, or its content is broken.
    """
    if not path:
        raise app.UsageError(f"--model is needed: {_FORMS}.")
    place = Path(path)
    if place.suffix == ".keras" and place.is_file():
        return _from_keras(_load_keras(place), _preset_beside(place))
    if (place / "saved_model.pb").is_file():
        return _from_saved_model(place)
    if versions := _versions(place):
        return _from_saved_model(versions[-1])
    if path in presets.names() or (place / presets.PRESET_FILE).is_file():
        return _from_preset(path)
    what = "it is none of these" if place.exists() else "there is no such file or folder"
    raise ValueError(f"--model must be {_FORMS}. Received: {path!r}, but {what}.")


def preset_folder(path: str) -> Path:
    """Returns the folder of the preset.json that belongs to a model, so that it can be changed.

    Args:
        path: One of the forms that `load` takes, and has loaded.

    Raises:
        ValueError: There is none: the model is a `.keras` file alone, or a built-in preset.
    """
    place = Path(path)
    if place.suffix == ".keras":
        has_preset, folder = _preset_beside(place) is not None, place.parent
    elif versions := _versions(place):
        folder = versions[-1] / EXTRA_DIR
        has_preset = (folder / presets.PRESET_FILE).is_file()
    else:
        folder = place / EXTRA_DIR if (place / "saved_model.pb").is_file() else place
        has_preset = (folder / presets.PRESET_FILE).is_file() and path not in presets.names()
    if not has_preset:
        raise ValueError(
            f"{path} has no {presets.PRESET_FILE} of its own to hold thresholds. Give the preset "
            "folder that `FaceModel.save_preset` or `python -m facezoo convert` wrote."
        )
    return folder


def _check_whole(weights: str | Path) -> None:
    """Raises ValueError for a damaged file, which Keras would report as missing."""
    try:
        with zipfile.ZipFile(weights) as archive:
            damaged = archive.testzip()
    except zipfile.BadZipFile as error:
        damaged = str(error)
    if damaged is not None:
        raise ValueError(f"{weights} is damaged or no Keras model: {damaged}. Copy it again.")


def _load_keras(file: Path) -> FaceModel:
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


def _preset_beside(file: Path) -> Mapping[str, Any] | None:
    """The preset that was saved with these weights, not with others in the same folder."""
    if not (file.parent / presets.PRESET_FILE).is_file():
        return None
    preset = presets.load(file.parent)
    return preset if preset["weights"] == str(file.absolute()) else None


def _from_preset(name_or_folder: str) -> LoadedModel:
    preset = presets.load(name_or_folder)
    if preset["weights"] is None:
        raise ValueError(
            f"The preset {name_or_folder!r} has no weights: its embeddings would be random. "
            "Train it with `python -m pipelines.run`, and give the folder that it names."
        )
    _check_whole(preset["weights"])
    return _from_keras(FaceModel.from_preset(name_or_folder), preset)


def _from_keras(model: FaceModel, preset: Mapping[str, Any] | None) -> LoadedModel:
    def predict(image: Any) -> Mapping[str, Any]:
        return model(model.preprocessing.standardize(image), training=False)

    if keras.backend.backend() == "tensorflow":
        # One graph for batches of every size: eager calls take twice as long.
        spec = tf.TensorSpec([None, *model.preprocessing.image_shape])
        predict = tf.function(predict, input_signature=[spec], autograph=False)

    def embed(images: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        batch = np.stack([resize(image, model.preprocessing) for image in images])
        answer = predict(batch)
        return {name: keras.ops.convert_to_numpy(value) for name, value in answer.items()}

    thresholds = preset and preset["thresholds"]
    return LoadedModel(embed, model_fingerprint(model), model.preprocessing, thresholds)


def _versions(place: Path) -> list[Path]:
    """Folders of a serving directory's versions, oldest first."""
    folders = place.iterdir() if place.is_dir() else ()
    complete = [folder for folder in folders if (folder / "saved_model.pb").is_file()]
    return sorted((one for one in complete if one.name.isdecimal()), key=lambda one: int(one.name))


def _from_saved_model(folder: Path) -> LoadedModel:
    served = ServedModel(folder)

    def embed(images: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        # One by one: the signature takes batches of one size only.
        answers = [served(image[np.newaxis]) for image in images]
        return {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}

    if served.preset is None:
        return LoadedModel(embed, served.fingerprint(), None, None)
    preprocessing = Preprocessing(**served.preset["preprocessing"])
    return LoadedModel(embed, served.fingerprint(), preprocessing, served.preset["thresholds"])
