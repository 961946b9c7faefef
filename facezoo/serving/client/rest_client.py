"""Asks a server by REST: JSON over HTTP, with bytes in base 64."""

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import numpy as np

from facezoo.serving.client.base import Arrays, Client, ServerError

_BASE64 = "b64"


class RestClient(Client):
    """Asks by REST, with the standard library alone.

    Args:
        address: Such as `"http://localhost:8501"`.

    Raises:
        ValueError: The address is no URL of a server.

    Example:
        >>> client = RestClient("http://localhost:8501", label="stable")
        >>> client.url
        'http://localhost:8501/v1/models/facezoo/labels/stable:predict'

    Source:
        TensorFlow Serving, g3doc/api_rest.md, column format.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = urllib.parse.urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(
                f"address must be such as http://localhost:8501. Received: {self.address!r}."
            )

    @property
    def url(self) -> str:
        """Where signatures are called."""
        place = f"{self.address.rstrip('/')}/v1/models/{urllib.parse.quote(self.model, safe='')}"
        if self.version is not None:
            place += f"/versions/{self.version}"
        if self.label is not None:
            place += f"/labels/{urllib.parse.quote(self.label, safe='')}"
        return f"{place}:predict"

    def call(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        columns = {name: _to_json(array) for name, array in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        try:
            outputs = json.loads(self._post(body))["outputs"]
            return {name: _from_json(values) for name, values in outputs.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServerError(
                f"{self.url} does not answer as TensorFlow Serving does. Is another server there?"
            ) from error

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise ServerError(f"{self.url} refuses: {_reason(error)}") from error
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", error)
            if isinstance(why, TimeoutError):
                raise ServerError(
                    f"{self.url} gave no answer within {self.timeout:g} seconds. "
                    "Allow more by timeout, or send less at once by batch_size."
                ) from error
            raise ServerError(
                f"{self.url} cannot be reached: {why}. Is the server running, and is this its "
                "port for REST (8501, where nothing else was said)?"
            ) from error


def _reason(error: urllib.error.HTTPError) -> str:
    """The server's own words, in one line; where it has none, HTTP's."""
    try:
        words = json.loads(error.read())["error"]
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        words = f"{error.code} {error.reason}"
    return " ".join(str(words).split())


def _to_json(array: np.ndarray) -> Any:
    if array.dtype == object:
        return [{_BASE64: base64.b64encode(one).decode()} for one in array]
    return array.tolist()


def _from_json(values: list[Any]) -> np.ndarray:
    if values and isinstance(values[0], dict):
        return _texts(base64.b64decode(one[_BASE64], validate=True) for one in values)
    if values and isinstance(values[0], str):
        return _texts(one.encode() for one in values)
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _texts(values: Any) -> np.ndarray:
    listed = list(values)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array
