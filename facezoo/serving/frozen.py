"""FaceModel to one TensorFlow function whose weights are constants: where exports start from."""

from collections.abc import Sequence
from typing import Any, Final

import keras
import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from facezoo import shapes
from facezoo.models import FaceModel
from facezoo.serving.short_prelu import shorten_prelu

IMAGE: Final = "image"
_OUTPUTS: Final = (shapes.EMBEDDING, shapes.NORM)


def freeze(model: FaceModel, short_prelu: bool = True) -> tf.types.experimental.ConcreteFunction:
    """Makes the network in inference mode, with the weights that it has now.

    Constants let TensorFlow fold batch normalisation into the convolutions and fuse what follows
    them; converters to other formats need them.

    Args:
        model: Built. The head stays behind: it served the loss.
        short_prelu: Computes PReLU as max(x, alpha x) wherever every alpha is at most 1: the same
            numbers in two passes over memory, where Keras takes five. TensorFlow Lite has a kernel
            of its own, which it finds in Keras' form.

    Returns:
        `image`, float32 [N, h, w, 3], standardised, to
        `{"embedding": float32 unit [N, D], "norm": float32 [N]}`.
    """
    spec = tf.TensorSpec([None, *model.preprocessing.image_shape], tf.float32, IMAGE)
    traced = _trace(model, spec)
    outputs = [traced.structured_outputs[name].name for name in _OUTPUTS]
    graph = traced.graph.as_graph_def()
    if short_prelu:
        shorten_prelu(graph)
    _prune(graph, outputs)

    @tf.function(input_signature=[spec], autograph=False)
    def embed(image: tf.Tensor) -> dict[str, tf.Tensor]:
        tensors = tf.import_graph_def(graph, {traced.inputs[0].name: image}, outputs, name="")
        return dict(zip(_OUTPUTS, tensors, strict=True))

    return embed.get_concrete_function()


def _trace(model: FaceModel, spec: tf.TensorSpec) -> tf.types.experimental.ConcreteFunction:
    variables = model.variables
    values = [keras.ops.convert_to_numpy(one) for one in variables]

    @tf.function(input_signature=[spec], autograph=False)
    def embed(image: tf.Tensor) -> Any:
        constants = map(tf.constant, values)
        with keras.StatelessScope(zip(variables, constants, strict=True)):
            return model(image, training=False)

    return embed.get_concrete_function()


def _prune(graph: graph_pb2.GraphDef, outputs: Sequence[str]) -> None:
    """Leaves out what no output needs, such as the weights of a head, in place."""
    nodes = {node.name: node for node in graph.node}
    kept, waiting = set(), list(outputs)
    while waiting:
        name = waiting.pop().split(":")[0].removeprefix("^")
        if name not in kept:
            kept.add(name)
            waiting.extend(nodes[name].input)
    needed = [node for node in graph.node if node.name in kept or node.op == "Placeholder"]
    del graph.node[:]
    graph.node.extend(needed)
