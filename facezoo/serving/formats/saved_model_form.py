"""A SavedModel with all signatures, in the folder of a version as TensorFlow Serving wants it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facezoo import presets
from facezoo.serving.formats.form import Embed, Form, TrainedModel
from facezoo.serving.frozen import IMAGE
from facezoo.serving.saved_model import EXTRA_DIR, export_saved_model
from facezoo.serving.signatures import EMBED


def _write(trained: TrainedModel, path: Path) -> None:
    preset = trained.preset
    path.mkdir(parents=True)
    export_saved_model(trained.model, path, preset["name"], served_thresholds(trained))
    (path / EXTRA_DIR).mkdir(exist_ok=True)
    # What reads a SavedModel finds out here how crops are prepared; the weights are its own.
    presets.save(path / EXTRA_DIR, {**preset, "weights": None})


def served_thresholds(trained: TrainedModel) -> Mapping[str, Any] | None:
    """Returns the stored thresholds, if they hold for whole pictures, as the signatures see them.

    Those that were measured on the middle of the pictures, or on several views, do not.
    """
    table = trained.preset["thresholds"]
    fingerprint = trained.model.preprocessing.fingerprint()
    return table if table and table["preprocessing"] == fingerprint else None


def _open(path: Path) -> Embed:
    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures[EMBED]

    def embed(image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return {name: values.numpy() for name, values in signature(**{IMAGE: image}).items()}

    # The signature alone does not keep what it is made of.
    embed.loaded = loaded
    return embed


SAVED_MODEL = Form("saved_model", "saved_model/1", _write, _open)
