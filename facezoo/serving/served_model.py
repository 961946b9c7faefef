"""Opens an exported model without a server, and without any of its classes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from facezoo import shapes
from facezoo.presets import PRESET_FILE
from facezoo.serving import facts
from facezoo.serving.frozen import IMAGE
from facezoo.serving.saved_model import EXTRA_DIR
from facezoo.serving.signatures import EMBED_BYTES, EMBED_IMAGE, IGNORED, IMAGE_BYTES, INFO


class ServedModel:
    """An exported model, called in this process.

    Args:
        folder: Of a SavedModel that `export_saved_model` wrote.

    Call:
        image: uint8 [N, H, W, 3], RGB, any size.

    Returns:
        `{"embedding": float32 unit [N, D], "norm": float32 [N]}`, NumPy.

    Raises:
        ValueError: The folder holds no whole SavedModel of this library, or one of an older
            version, or `image` is none.
    """

    def __init__(self, folder: Path) -> None:
        # Held as a whole: TensorFlow's signatures do not hold what they refer to.
        self._module = _load(folder)
        answer = self._ask(INFO, IGNORED, tf.constant([""]))
        preset = Path(folder, EXTRA_DIR, PRESET_FILE)
        self.info: dict[str, Any] = {name: _plain(values[0]) for name, values in answer.items()}
        self.info[facts.THRESHOLDS] = json.loads(self.info[facts.THRESHOLDS])
        self.preset: dict[str, Any] | None = (
            json.loads(preset.read_text(encoding="utf-8")) if preset.is_file() else None
        )

    def __call__(self, image: np.ndarray) -> dict[str, np.ndarray]:
        if image.dtype != np.uint8 or image.ndim != 4 or image.shape[3] != shapes.NUM_CHANNELS:
            raise ValueError(
                "image must be uint8 [N, H, W, 3], RGB. "
                f"Received: {image.dtype} {list(image.shape)}."
            )
        return self._ask(EMBED_IMAGE, IMAGE, tf.constant(image))

    def embed_bytes(self, pictures: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Embeds encoded pictures; one that cannot be decoded harms no other.

        Args:
            pictures: N JPEGs or PNGs.

        Returns:
            `embedding` and `norm` as above, zeros where `valid`, bool [N], is False.
        """
        return self._ask(EMBED_BYTES, IMAGE_BYTES, tf.constant(list(pictures), tf.string))

    def fingerprint(self) -> str:
        """Digest of the weights: that of the model which was exported."""
        return self.info[facts.MODEL]

    def _ask(self, signature: str, name: str, value: tf.Tensor) -> dict[str, np.ndarray]:
        answer = self._module.signatures[signature](**{name: value})
        return {name: values.numpy() for name, values in answer.items()}


def load(folder: Path) -> ServedModel:
    """Opens a SavedModel to embed pictures with; see `ServedModel`."""
    return ServedModel(folder)


def _load(folder: Path) -> Any:
    """Loads a SavedModel and checks that it has the signatures of this version."""
    try:
        module = tf.saved_model.load(str(folder))
    # To TensorFlow, weights that are cut off are an IndexError.
    except (OSError, IndexError, tf.errors.OpError) as error:
        why, *_ = str(error).split("\n")
        raise ValueError(
            f"{folder} cannot be loaded as SavedModel: {why} "
            "Give a folder with a saved_model.pb, such as the pipeline's <serving dir>/facezoo/1, "
            "and copy it whole."
        ) from error
    signatures = module.signatures
    if EMBED_IMAGE not in signatures:
        raise ValueError(
            f"{folder} is not a SavedModel of facezoo: it has no signature {EMBED_IMAGE!r}. "
            f"Received: {', '.join(sorted(signatures)) or 'none'}."
        )
    if INFO not in signatures:
        raise ValueError(
            f"{folder} was exported by an older version of facezoo: it has no signature {INFO!r}. "
            "Export the model again, with `python -m facezoo export` or the pipeline's Trainer."
        )
    return module


def _plain(value: Any) -> str | float:
    return value.decode() if isinstance(value, bytes) else value.item()
