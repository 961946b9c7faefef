"""A second engine, which shares no code with TensorFlow, answers the signature `embed` as well."""

import numpy as np
import pytest
import tensorflow as tf

from tests import served

openvino = pytest.importorskip("openvino", reason="openvino comes with facezoo[dev]")


@pytest.mark.slow
def test_embed_answers_as_keras(tmp_path_factory):
    """Given the folder, OpenVINO wants all signatures, and has no rule for what decodes bytes."""
    requests, folder = served.exported(tmp_path_factory)
    (request,) = [one for one in requests if one.signature == "embed"]
    signature = tf.saved_model.load(str(folder)).signatures["embed"]
    network = openvino.convert_model(signature)
    # Left alone, it computes in bfloat16 where the processor can.
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    answer = openvino.compile_model(network, "CPU", exact)(request.inputs["image"])
    for name, expected in request.outputs.items():
        np.testing.assert_allclose(answer[name], expected, atol=1e-5, err_msg=name)
