"""Reads protocol buffers and TFRecords byte by byte: no generated code, no protobuf package."""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

# tensorflow/core/framework/types.proto
STRING = 7
DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 6: "i1", 9: "<i8", 10: "?"}

Arrays = dict[str, np.ndarray]


class ServingError(Exception):
    """The model cannot be served; the message is one line."""


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yields (field number, value) of a protocol buffer: int, or bytes if it has a length."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        if key & 7 == 0:
            value, position = _varint(message, position)
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                size, position = _varint(message, position)
            value, position = message[position : position + size], position + size
        if position > len(message):
            raise ServingError("A message is cut off.")
        yield key >> 3, value


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for end in range(position, len(message)):
        value |= (message[end] & 0x7F) << 7 * (end - position)
        if message[end] < 0x80:
            return value, end + 1
    raise ServingError("A message is cut off.")


def values(message: bytes, *path: int) -> list[Any]:
    """Returns all values at a path of field numbers."""
    found = [message]
    for number in path:
        found = [value for one in found for key, value in fields(one) if key == number]
    return found


def entries(message: bytes, number: int) -> dict[str, bytes]:
    """Returns a map<string, message>."""
    pairs = [dict(fields(entry)) for entry in values(message, number)]
    return {pair[1].decode(): pair.get(2, b"") for pair in pairs}


def read_tensor(proto: bytes) -> np.ndarray:
    """TensorProto: dtype 1, tensor_shape 2 (dim 2: size 1), tensor_content 4, string_val 8."""
    dtype = sum(values(proto, 1))
    shape = [sum(values(dim, 1)) for dim in values(proto, 2, 2)]
    if dtype == STRING:
        array = np.array(values(proto, 8), dtype=object)
    elif dtype in DTYPES:
        array = np.frombuffer(b"".join(values(proto, 4)), DTYPES[dtype])
    else:
        raise ServingError(f"A request holds a tensor of data type {dtype}, which is not known.")
    if array.size != np.prod(shape, dtype=int):
        raise ServingError(f"A request holds {array.size} values for a tensor of shape {shape}.")
    return array.reshape(shape)


def read_requests(path: Path) -> Iterator[tuple[str, Arrays, Arrays]]:
    """Yields (signature, inputs, recorded outputs) of a TFRecord file of PredictionLogs.

    PredictionLog: predict_log 6; PredictLog: request 1, response 2; PredictRequest: model_spec 1
    (signature_name 3), inputs 2; PredictResponse: outputs 1.
    """
    data, position = path.read_bytes(), 0
    while position < len(data):
        (size,) = struct.unpack("<Q", data[position : position + 8].ljust(8, b"\xff"))
        record = data[position + 12 : position + 12 + size]
        position += size + 16
        if position > len(data):
            raise ServingError(f"{path.name} is cut off.")
        for log in values(record, 6):
            request, response = b"".join(values(log, 1)), b"".join(values(log, 2))
            signature = b"".join(values(request, 1, 3)).decode() or "serving_default"
            inputs, outputs = entries(request, 2), entries(response, 1)
            yield signature, _tensors(inputs), _tensors(outputs)


def _tensors(protos: Mapping[str, bytes]) -> Arrays:
    return {name: read_tensor(proto) for name, proto in protos.items()}
