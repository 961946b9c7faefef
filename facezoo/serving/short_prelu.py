"""PReLU in two passes over memory where Keras takes five, in a graph of constant weights."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

_Nodes = Mapping[str, node_def_pb2.NodeDef]


class _Prelu(NamedTuple):
    """Where a sum of Keras' form has its parts."""

    x: str
    alpha: node_def_pb2.NodeDef
    product: node_def_pb2.NodeDef


def shorten_prelu(graph: graph_pb2.GraphDef) -> int:
    """Replaces `relu(x) + (-alpha) * relu(-x)` by `max(x, alpha * x)`, in place.

    Only where alpha is a constant of at most 1 throughout: there both are the same number, to the
    last bit.

    Args:
        graph: Without calls of other functions.

    Returns:
        How many were replaced.
    """
    nodes = {node.name: node for node in graph.node}
    found = 0
    for node in graph.node:
        prelu = _match(node, nodes)
        if prelu is None or not (tf.make_ndarray(prelu.alpha.attr["value"].tensor) <= 1.0).all():
            continue
        prelu.product.input[:] = [prelu.alpha.name, prelu.x]
        node.op = "Maximum"
        node.input[:] = [prelu.x, prelu.product.name]
        found += 1
    return found


def _match(node: node_def_pb2.NodeDef, nodes: _Nodes) -> _Prelu | None:
    """Recognises the sum at the end of what `keras.layers.PReLU` computes."""
    if (terms := _inputs(node, nodes, "AddV2", ("Relu", "Mul"))) is None:
        return None
    above, product = terms
    if (factors := _inputs(product, nodes, "Mul", ("Neg", "Relu"))) is None:
        return None
    minus_alpha, below = factors
    minus_x, alpha = nodes.get(below.input[0]), nodes.get(minus_alpha.input[0])
    if minus_x is None or minus_x.op != "Neg" or alpha is None or alpha.op != "Const":
        return None
    return _Prelu(above.input[0], alpha, product) if minus_x.input[0] == above.input[0] else None


def _inputs(
    node: node_def_pb2.NodeDef, nodes: _Nodes, op: str, wanted: Sequence[str]
) -> list[node_def_pb2.NodeDef] | None:
    """The inputs of a node of one kind, if they are of these kinds in this order."""
    if node.op != op:
        return None
    inputs = [nodes[name] for name in node.input if name in nodes]
    return inputs if [one.op for one in inputs] == list(wanted) else None
