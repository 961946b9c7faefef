"""Opens an exported model without a server, and without any of its classes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from facezoo import shapes
from facezoo.models import weights_fingerprint
from facezoo.presets import PRESET_FILE
from facezoo.serving.saved_model import EMBED_IMAGE, EXTRA_DIR, IMAGE


class ServedModel:
    """An exported model, called in this process.

    Args:
        folder: Of a SavedModel that `export_saved_model` wrote.

    Call:
        image: uint8 [N, H, W, 3], RGB, any size.

    Returns:
        `{"embedding": float32 unit [N, D], "norm": float32 [N]}`, NumPy.

    Raises:
        ValueError: The folder holds no whole SavedModel of this library, or `image` is none.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._module = tf.saved_model.load(str(folder))
        # To TensorFlow, weights that are cut off are an IndexError.
        except (OSError, IndexError, tf.errors.OpError) as error:
            why, *_ = str(error).split("\n")
            raise ValueError(
                f"{folder} cannot be loaded as SavedModel: {why} "
                "Give a folder with a saved_model.pb, such as the pipeline's <serving dir>/1, "
                "and copy it whole."
            ) from error
        found = self._module.signatures
        if EMBED_IMAGE not in found:
            raise ValueError(
                f"{folder} is not a SavedModel of facezoo: it has no signature {EMBED_IMAGE!r}. "
                f"Received: {', '.join(sorted(found)) or 'none'}."
            )
        self._embed_image = found[EMBED_IMAGE]
        self._folder = Path(folder)
        preset = Path(folder, EXTRA_DIR, PRESET_FILE)
        self.preset: dict[str, Any] | None = (
            json.loads(preset.read_text(encoding="utf-8")) if preset.is_file() else None
        )

    def __call__(self, image: np.ndarray) -> dict[str, np.ndarray]:
        if image.dtype != np.uint8 or image.ndim != 4 or image.shape[3] != shapes.NUM_CHANNELS:
            raise ValueError(
                "image must be uint8 [N, H, W, 3], RGB. "
                f"Received: {image.dtype} {list(image.shape)}."
            )
        answer = self._embed_image(**{IMAGE: tf.constant(image)})
        return {name: values.numpy() for name, values in answer.items()}

    def fingerprint(self) -> str:
        """Digest of the weights: that of the model which was exported."""
        saved = tf.train.load_checkpoint(str(self._folder / "variables" / "variables"))
        return weights_fingerprint(map(saved.get_tensor, saved.get_variable_to_shape_map()))


def load(folder: Path) -> ServedModel:
    """Opens a SavedModel to embed pictures with; see `ServedModel`."""
    return ServedModel(folder)
