"""REST as TensorFlow Serving documents it (g3doc/api_rest.md, column format), in Python."""

import base64
import json
import re

import numpy as np
import tensorflow as tf

_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:predict")


def answer_rest(signatures, path, body):
    """Answers a POST by the signatures of a model named facezoo: (status, body)."""
    name = _PATH.fullmatch(path)[1]
    if name != "facezoo":
        return _refusal(404, f"Servable not found for request: Latest({name})")
    request = json.loads(body)
    function = signatures[request["signature_name"]]
    specs = function.structured_input_signature[1].values()
    if not specs:
        return _refusal(400, "Failed to get input map for signature")
    inputs = {spec.name: _tensor(request["inputs"][spec.name], spec) for spec in specs}
    try:
        outputs = function(**inputs)
    except tf.errors.OpError as error:
        return _refusal(400, error.message)
    values = {name: _values(name, output.numpy()) for name, output in sorted(outputs.items())}
    return 200, json.dumps({"outputs": values}).encode()


def _refusal(status, words):
    return status, json.dumps({"error": words}).encode()


def _tensor(values, spec):
    if spec.dtype == tf.string:
        values = [base64.b64decode(one["b64"], validate=True) for one in values]
    return tf.constant(values, spec.dtype)


def _values(name, array):
    if array.dtype == object:
        if name.endswith("_bytes"):
            return [{"b64": base64.b64encode(one).decode()} for one in array]
        return [one.decode() for one in array]
    if array.dtype == np.float32:
        # Nine digits bring a float32 back.
        return (
            np.array([float(f"{one:.9g}") for one in array.ravel()]).reshape(array.shape).tolist()
        )
    return array.tolist()
