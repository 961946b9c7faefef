"""Warm-up requests: what TensorFlow Serving runs first, and what a served model is checked with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import prediction_log_pb2

from facezoo.data.records import RecordWriter
from facezoo.models import FaceModel
from facezoo.serving.frozen import IMAGE
from facezoo.serving.keras_answers import Arrays, KerasAnswers
from facezoo.serving.model_config import MODEL_NAME
from facezoo.serving.saved_model import EXTRA_DIR, facts_of
from facezoo.serving.signatures import (
    DISTANCE,
    EMBED,
    EMBED_128,
    EMBED_BYTES,
    EMBED_FLIP,
    EMBED_IMAGE,
    EMBED_LANDMARKS,
    FIRST_BYTES,
    IGNORED,
    IMAGE_BYTES,
    INFO,
    LANDMARKS,
    SECOND_BYTES,
    SERVING_DEFAULT,
    VERIFY_PAIR,
)
from facezoo.thresholds import stored

WARMUP_FILE: Final = "tf_serving_warmup_requests"
# TensorFlow Serving refuses a file with more.
MAX_WARMUP_REQUESTS: Final = 1000
# Among the photographs, to see that it harms none of them.
_NO_PICTURE: Final = b"no picture"
# Nearer to the threshold than this, rounding decides whether two are the same.
_UNDECIDED: Final = 1e-4


@dataclass(frozen=True)
class Request:
    """One call of a signature.

    Args:
        signature: Its name.
        inputs: Arrays by name; bytes in an object array.
        outputs: What the Keras model answers, arrays by name.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]


def make_requests(
    model: FaceModel,
    photographs: Sequence[bytes],
    image: np.ndarray,
    thresholds: Mapping[str, Any],
    name: str = MODEL_NAME,
) -> list[Request]:
    """Asks every signature of a served model about the same photographs.

    Args:
        model: What was exported, and what the answers are asked of.
        photographs: N JPEGs or PNGs that can be read.
        image: float32 [N, h, w, 3], the same photographs as training prepares them.
        thresholds: Content of thresholds.json, as it is stored in the exported model.
        name: That it was exported with.

    Returns:
        One request per signature; for `embed_image` one per size of photograph.
    """
    encoded = np.array(photographs, dtype=object)
    expected = KerasAnswers(model, facts_of(model, name, thresholds), photographs, image)
    embedded, by_bytes = expected.embedded(), {IMAGE_BYTES: encoded}
    aligned_by = {**by_bytes, LANDMARKS: expected.landmarks}
    return [
        Request(SERVING_DEFAULT, by_bytes, embedded),
        Request(EMBED_BYTES, *_with_no_picture(encoded, embedded)),
        Request(EMBED_FLIP, by_bytes, expected.flipped()),
        Request(EMBED_LANDMARKS, aligned_by, expected.aligned()),
        Request(EMBED_128, by_bytes, expected.coded()),
        _pairs(expected, encoded),
        Request(EMBED, {IMAGE: image}, expected.plain),
        *_by_size(expected),
        Request(INFO, {IGNORED: np.array([b""], dtype=object)}, expected.info()),
    ]


def _with_no_picture(encoded: np.ndarray, embedded: Arrays) -> tuple[Arrays, Arrays]:
    answer = {
        name: np.concatenate([values, np.zeros_like(values[:1])])
        for name, values in embedded.items()
    }
    return {IMAGE_BYTES: np.append(encoded, _NO_PICTURE)}, answer


def _pairs(expected: KerasAnswers, encoded: np.ndarray) -> Request:
    """Every photograph with the next one."""
    first = np.arange(len(encoded))
    second = np.roll(first, -1)
    answer = expected.compared(first, second)
    threshold = stored(expected.facts.thresholds, None).value
    is_decided = np.abs(answer[DISTANCE] - threshold) > _UNDECIDED
    pairs = {FIRST_BYTES: encoded[first], SECOND_BYTES: encoded[second]}
    inputs, outputs = (
        {name: values[is_decided] for name, values in one.items()} for one in (pairs, answer)
    )
    return Request(VERIFY_PAIR, inputs, outputs)


def _by_size(expected: KerasAnswers) -> Iterator[Request]:
    for shape in sorted({image.shape for image in expected.pixels}):
        rows = [row for row, image in enumerate(expected.pixels) if image.shape == shape]
        pixels = np.stack([expected.pixels[row] for row in rows])
        outputs = {name: values[rows] for name, values in expected.plain.items()}
        yield Request(EMBED_IMAGE, {IMAGE: pixels}, outputs)


def write_warmup(folder: Path, requests: Sequence[Request]) -> None:
    """Writes the requests that TensorFlow Serving runs before it lets anyone in.

    Each record is a PredictionLog with the expected response, which the server ignores and
    `pipelines/saved_model_loader` compares with. Equal requests give equal bytes.

    Args:
        folder: Of a SavedModel.
        requests: 1 to 1000.

    Raises:
        ValueError: There are none or too many.
    """
    if not 1 <= len(requests) <= MAX_WARMUP_REQUESTS:
        raise ValueError(
            f"TensorFlow Serving takes 1 to {MAX_WARMUP_REQUESTS} warm-up requests. "
            f"Received: {len(requests)}. Use fewer photographs."
        )
    path = Path(folder, EXTRA_DIR, WARMUP_FILE)
    path.parent.mkdir(exist_ok=True)
    with RecordWriter(path) as writer:
        for request in requests:
            writer.write(_prediction_log(request).SerializeToString(deterministic=True))


def _prediction_log(request: Request) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    call, response = log.predict_log.request, log.predict_log.response
    call.model_spec.signature_name = request.signature
    for name, array in request.inputs.items():
        call.inputs[name].CopyFrom(_tensor_proto(array))
    for name, array in request.outputs.items():
        response.outputs[name].CopyFrom(_tensor_proto(array))
    return log


def _tensor_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    # tf.make_tensor_proto writes a single number in another form than many.
    proto = tensor_pb2.TensorProto(
        dtype=tf.as_dtype(array.dtype).as_datatype_enum,
        tensor_shape=tf.TensorShape(array.shape).as_proto(),
    )
    if array.dtype == object:
        proto.string_val.extend(array.ravel().tolist())
    else:
        proto.tensor_content = array.tobytes()
    return proto
