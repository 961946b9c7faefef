"""ONNX, for onnxruntime and every other engine that reads it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facezoo.models import model_fingerprint
from facezoo.serving.formats.form import Embed, Form, TrainedModel
from facezoo.serving.frozen import IMAGE, freeze

_OPSET = 17


def _write(trained: TrainedModel, path: Path) -> None:
    import onnx
    import tf2onnx

    frozen = freeze(trained.model)
    spec, *_ = frozen.structured_input_signature[0]
    embed = tf.function(lambda image: frozen(image), input_signature=[spec], autograph=False)
    with _quiet():
        network, _ = tf2onnx.convert.from_function(embed, [spec], opset=_OPSET)
    preprocessing = trained.model.preprocessing
    facts = {
        "name": trained.preset["name"],
        "model": model_fingerprint(trained.model),
        "preprocessing": preprocessing.fingerprint(),
        "preprocessing_config": json.dumps(preprocessing.get_config(), sort_keys=True),
        "input": "RGB crop, height x width pixels, standardised as preprocessing_config says: "
        "fixed is (x - 127.5) / 128",
    }
    onnx.helper.set_model_props(network, facts)
    onnx.checker.check_model(network)
    path.write_bytes(network.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps to itself that one of tf2onnx's rewriters for LeakyReLU stumbles over PReLU."""
    logger = logging.getLogger("tf2onnx")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _open(path: Path) -> Embed:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def embed(image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return dict(zip(names, session.run(names, {IMAGE: image}), strict=True))

    return embed


# PReLU is max(x, alpha x) here too: onnxruntime computes it in less time than its own PRelu.
ONNX = Form("onnx", "model.onnx", _write, _open, packages=("tf2onnx", "onnx", "onnxruntime"))
