"""TensorFlow Lite, for phones and small machines: in float32, or in 8-bit integers."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facezoo.serving.formats.form import Embed, Form, TrainedModel
from facezoo.serving.frozen import IMAGE, freeze

# What the split into direction and length is made of: in 8 bits the length of an embedding would be
# off by hundredths.
_IN_FLOAT: Final = (
    *("SUM", "GREATER", "MAXIMUM", "RSQRT", "SQRT", "SELECT_V2"),
    *("RESHAPE", "STRIDED_SLICE", "BROADCAST_TO"),
)
# The converter's name for the first output: the product of features and 1 / norm.
_EMBEDDING: Final = "PartitionedCall:0"


def _converter(trained: TrainedModel) -> tf.lite.TFLiteConverter:
    # Weights must be constants: as variables they would become operations of their own. The module
    # makes the converter keep the names of input and outputs.
    frozen = freeze(trained.model, short_prelu=False)
    return tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())


def _write(trained: TrainedModel, path: Path) -> None:
    path.write_bytes(_converter(trained).convert())


def _write_int8(trained: TrainedModel, path: Path) -> None:
    def pictures() -> Iterator[list[NDArray[np.float32]]]:
        for image in trained.calibration:
            yield [image[np.newaxis]]

    converter = _converter(trained)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = pictures
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    in_float = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_ops=list(_IN_FLOAT), denylisted_nodes=[_EMBEDDING]
    )
    with _quiet():
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=pictures, debug_options=in_float
        )
    path.write_bytes(debugger.get_nondebug_quantized_model())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps to itself that TensorFlow's interpreter moves to another package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _open(path: Path) -> Embed:
    with _quiet():
        interpreter = tf.lite.Interpreter(str(path), num_threads=os.cpu_count())
    run = interpreter.get_signature_runner()

    def embed(image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        # What comes back lies in the interpreter's memory, and changes with the next call.
        return {name: values.copy() for name, values in run(**{IMAGE: image}).items()}

    return embed


TFLITE = Form("tflite", "model.tflite", _write, _open)
TFLITE_INT8 = Form(
    "tflite_int8", "model_int8.tflite", _write_int8, _open, needs_calibration=True, exact=False
)
