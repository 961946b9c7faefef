"""Asks a server by gRPC: smaller messages than REST, and no numbers as text."""

from functools import cached_property
from typing import Self

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from facezoo.serving.client.base import Arrays, Client, ServerError

# Of a message from the server; gRPC's own limit is 4 MB.
_LIMIT = [("grpc.max_receive_message_length", -1)]
_HINTS = {
    grpc.StatusCode.UNAVAILABLE: " Is the server running, and is this its port for gRPC (8500, "
    "where nothing else was said)?",
    grpc.StatusCode.DEADLINE_EXCEEDED: " Allow more by timeout, or send less at once by "
    "batch_size.",
}


class GrpcClient(Client):
    """Asks by gRPC, without encryption, which is how TensorFlow Serving listens by default.

    It holds a connection, which `close` or the end of a `with` block ends.

    Args:
        address: Host and port, such as `"localhost:8500"`.

    Raises:
        ValueError: The address is none.

    Example:
        >>> with GrpcClient("localhost:8500", version=2) as client:
        ...     client.model
        'facezoo'

    Source:
        TensorFlow Serving, apis/prediction_service.proto, Predict.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if "/" in self.address or not self.address.rpartition(":")[2].isdecimal():
            raise ValueError(
                "address must be a host and a port, such as localhost:8500. "
                f"Received: {self.address!r}."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    @cached_property
    def _channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.address, options=_LIMIT)

    def call(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        request = PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        if self.version is not None:
            request.model_spec.version.value = self.version
        if self.label is not None:
            request.model_spec.version_label = self.label
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        try:
            answer = PredictionServiceStub(self._channel).Predict(request, timeout=self.timeout)
        except grpc.RpcError as error:
            words = " ".join((error.details() or error.code().name).split())
            hint = _HINTS.get(error.code(), "")
            raise ServerError(
                f"{self.address} does not answer {signature}: {words.rstrip('.')}.{hint}"
            ) from error
        return {name: tf.make_ndarray(proto) for name, proto in answer.outputs.items()}
