"""FaceModel to SavedModel: one network behind several named signatures."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import keras
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from facezoo import presets
from facezoo.models import FaceModel, model_fingerprint
from facezoo.ops import uniform_scale
from facezoo.serving import facts
from facezoo.serving.facts import Facts
from facezoo.serving.frozen import freeze
from facezoo.serving.reproducible import make_reproducible
from facezoo.serving.signatures import NUM_BYTES, Signatures
from facezoo.thresholds import check_bound

SAVED_MODEL_FILE: Final = "saved_model.pb"
# Where TensorFlow Serving looks for what is not the model.
EXTRA_DIR: Final = "assets.extra"


def export_saved_model(
    model: FaceModel,
    folder: Path,
    name: str = "facezoo",
    thresholds: Mapping[str, Any] | None = None,
    byte_scale: float | None = None,
) -> None:
    """Writes a model as SavedModel with the signatures of `Signatures`, in inference mode.

    The weights are constants of the graph, there once for all signatures. The head stays behind:
    it served the loss. The same model gives the same bytes in any process.

    Args:
        model: Built.
        folder: Made if it is not there.
        name: What the model calls itself.
        thresholds: Content of thresholds.json; None if nothing was measured: then `verify_pair`
            raises until `store_thresholds` brings them.
        byte_scale: Step between two codes of `embed_128`, as `ops.calibrate_scale` finds it; None
            for `ops.uniform_scale`.

    Raises:
        ValueError: The thresholds were measured with another model, or `byte_scale` is not above 0.
    """
    what = facts_of(model, name, thresholds, byte_scale)
    if thresholds is not None:
        check_bound(thresholds, what.model, what.preprocessing)
    archive = keras.export.ExportArchive()
    signatures = Signatures(freeze(model), model.preprocessing, what).by_name()
    for signature, (function, inputs) in signatures.items():
        archive.add_endpoint(signature, function, inputs)
    archive.write_out(str(folder), verbose=False)
    make_reproducible(Path(folder))


def facts_of(
    model: FaceModel,
    name: str,
    thresholds: Mapping[str, Any] | None = None,
    byte_scale: float | None = None,
) -> Facts:
    """Returns what an exported model says of itself; see `export_saved_model`.

    Raises:
        ValueError: `byte_scale` is not above 0.
    """
    dim = min(model.embedding.embedding_dim, NUM_BYTES)
    return Facts(
        name,
        model_fingerprint(model),
        model.preprocessing.fingerprint(),
        model.preprocessing.alignment,
        uniform_scale(dim) if byte_scale is None else byte_scale,
        thresholds,
    )


def store_thresholds(folder: Path, thresholds: Mapping[str, Any]) -> None:
    """Gives an exported model the thresholds that were measured with it.

    They go into the constants of `verify_pair` and `info`, and into the preset.json in
    `assets.extra`, if it is there. The graph appears whole or stays as it was.

    Args:
        folder: Of a SavedModel that `export_saved_model` wrote.
        thresholds: Content of thresholds.json.

    Raises:
        ValueError: The folder holds no such model, or the thresholds were measured with another.
    """
    file = Path(folder, SAVED_MODEL_FILE)
    saved_model = read_saved_model(file)
    model, preprocessing = (
        facts.read(saved_model, name).decode() for name in (facts.MODEL, facts.PREPROCESSING)
    )
    check_bound(thresholds, model, preprocessing)
    for name, value in facts.threshold_constants(thresholds).items():
        facts.write(saved_model, name, value)
    preset = Path(folder, EXTRA_DIR, presets.PRESET_FILE)
    if preset.is_file():
        content = json.loads(preset.read_text(encoding="utf-8"))
        presets.save(preset.parent, {**content, "thresholds": thresholds})
    partial = file.with_name(file.name + ".partial")
    partial.write_bytes(saved_model.SerializeToString(deterministic=True))
    os.replace(partial, file)


def read_saved_model(file: Path) -> saved_model_pb2.SavedModel:
    """Reads a saved_model.pb without loading the model.

    Raises:
        ValueError: The file is not there, or is cut off.
    """
    try:
        return saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except (OSError, DecodeError) as error:
        raise ValueError(
            f"{file} cannot be read as SavedModel: {error}. Copy it whole, or export it again."
        ) from error
