"""Warm-up requests: what TensorFlow Serving runs first, and what a served model is checked with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import prediction_log_pb2

from facezoo.data.decode import decode_image
from facezoo.data.records import RecordWriter
from facezoo.serving.saved_model import (
    EMBED,
    EMBED_BYTES,
    EMBED_IMAGE,
    EXTRA_DIR,
    IMAGE,
    IMAGE_BYTES,
    SERVING_DEFAULT,
)

WARMUP_FILE: Final = "tf_serving_warmup_requests"
# TensorFlow Serving refuses a file with more.
MAX_WARMUP_REQUESTS: Final = 1000


@dataclass(frozen=True)
class Request:
    """One call of a signature.

    Args:
        signature: Its name.
        inputs: Arrays by name; bytes in an object array.
        outputs: What the Keras model answers, float32 arrays by name.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]


def make_requests(
    photographs: Sequence[bytes], image: np.ndarray, answer: Mapping[str, np.ndarray]
) -> list[Request]:
    """Asks every door of a served model about the same photographs.

    Args:
        photographs: N JPEGs or PNGs.
        image: float32 [N, h, w, 3], the same photographs as the network takes them.
        answer: The Keras model's outputs for them, [N, ..] by name.

    Returns:
        One request per door; for `embed_image` one per size of photograph.
    """
    encoded = np.array(photographs, dtype=object)
    requests = [
        Request(SERVING_DEFAULT, {IMAGE_BYTES: encoded}, answer),
        Request(EMBED_BYTES, {IMAGE_BYTES: encoded}, answer),
        Request(EMBED, {IMAGE: image}, answer),
    ]
    for pixels, rows in _by_size([decode_image(one).numpy() for one in photographs]):
        outputs = {name: values[rows] for name, values in answer.items()}
        requests.append(Request(EMBED_IMAGE, {IMAGE: pixels}, outputs))
    return requests


def _by_size(images: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, list[int]]]:
    for shape in sorted({image.shape for image in images}):
        rows = [row for row, image in enumerate(images) if image.shape == shape]
        yield np.stack([images[row] for row in rows]), rows


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
