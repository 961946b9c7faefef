"""Loads a model from whichever of its forms a path names, so that verbs need not ask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from facezoo import presets, shapes
from facezoo.cli.keras_loading import has_preset_beside, load_keras
from facezoo.data.crop_statistics import CropStatistics
from facezoo.data.decode import resize
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.test_time import TestTime
from facezoo.models import FaceModel, model_fingerprint
from facezoo.serving import EXTRA_DIR, ServedModel
from facezoo.thresholds import check_bound

_FORMS = (
    "a .keras file, a preset folder (preset.json), a SavedModel directory (saved_model.pb), "
    "a serving directory (one model's numbered versions), or the name of a preset with weights"
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
        crop_statistics: What the crops of its training look like; None if it is not known.
    """

    embed: Callable[[Sequence[np.ndarray]], dict[str, np.ndarray]]
    fingerprint: str
    preprocessing: Preprocessing | None
    thresholds: Mapping[str, Any] | None
    crop_statistics: CropStatistics | None = None

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
        return self.predict_views(images, view)[shapes.EMBEDDING]

    def predict_views(self, images: Sequence[np.ndarray], view: TestTime) -> dict[str, np.ndarray]:
        """Embeds pictures as `embed_views`, and tells their norms, the mean over the views.

        Args:
            images: uint8 [H, W, 3] each, of any size; one at least.
            view: What is done to them.
        """
        shown = [one for image in images for one in view.views(image, self.input_size)]
        answer = self.embed(shown)
        embedding, norm = (answer[name] for name in (shapes.EMBEDDING, shapes.NORM))
        return {
            shapes.EMBEDDING: view.combine(embedding.reshape(len(images), -1, embedding.shape[-1])),
            shapes.NORM: norm.reshape(len(images), -1).mean(axis=1),
        }

    def are_typical(self, images: Sequence[np.ndarray], view: TestTime) -> list[bool | None]:
        """Tells which pictures look like the crops of the training; None where it is not known.

        Args:
            images: uint8 [H, W, 3] each, of any size; one at least.
            view: What is done to them; the first view is looked at.
        """
        if self.crop_statistics is None:
            return [None] * len(images)
        shown = [view.views(image, self.input_size)[0] for image in images]
        return self.crop_statistics.is_typical(shown).tolist()


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
        return _from_keras(*load_keras(path))
    if (place / "saved_model.pb").is_file():
        return _from_saved_model(place)
    if versions := _versions(place):
        return _from_saved_model(versions[-1])
    if path in presets.names() or (place / presets.PRESET_FILE).is_file():
        return _from_keras(*load_keras(path))
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
        has_preset, folder = has_preset_beside(place), place.parent
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
    crops = _crop_statistics(preset or {})
    return LoadedModel(embed, model_fingerprint(model), model.preprocessing, thresholds, crops)


def _crop_statistics(preset: Mapping[str, Any]) -> CropStatistics | None:
    config = preset.get("crop_statistics")
    return config and CropStatistics.from_config(config)


def _versions(place: Path) -> list[Path]:
    """Folders of the versions in a serving directory, or in its one model's, oldest first."""
    folders = [folder for folder in place.iterdir() if folder.is_dir()] if place.is_dir() else []
    complete = [one for one in folders if (one / "saved_model.pb").is_file()]
    versions = [one for one in complete if one.name.isdecimal()]
    if not versions and len(folders) == 1:
        return _versions(folders[0])
    return sorted(versions, key=lambda one: int(one.name))


def _from_saved_model(folder: Path) -> LoadedModel:
    served = ServedModel(folder)

    def embed(images: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        # The signature takes batches of one size only.
        rows: dict[tuple[int, ...], list[int]] = {}
        for row, image in enumerate(images):
            rows.setdefault(image.shape, []).append(row)
        answers = [served(np.stack([images[row] for row in same])) for same in rows.values()]
        order = np.argsort([row for same in rows.values() for row in same])
        return {name: np.concatenate([one[name] for one in answers])[order] for name in answers[0]}

    if served.preset is None:
        return LoadedModel(embed, served.fingerprint(), None, None)
    preprocessing = Preprocessing(**served.preset["preprocessing"])
    thresholds = served.preset["thresholds"] or served.info["thresholds"]
    crops = _crop_statistics(served.preset)
    return LoadedModel(embed, served.fingerprint(), preprocessing, thresholds, crops)
