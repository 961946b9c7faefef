"""What a served model says of itself: constants of its graph that can be read and exchanged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from facezoo import shapes
from facezoo.thresholds import stored

# Reported by the signature `info`.
NAME: Final = "name"
MODEL: Final = "model"
PREPROCESSING: Final = "preprocessing"
DISTANCE: Final = "distance"
ALIGNMENT: Final = "alignment"
THRESHOLDS: Final = "thresholds"
BYTE_SCALE: Final = "byte_scale"
REPORTED: Final = (NAME, MODEL, PREPROCESSING, DISTANCE, ALIGNMENT, THRESHOLDS, BYTE_SCALE)
# What `verify_pair` takes from the thresholds: a number, and (intercept, slope).
THRESHOLD: Final = "threshold"
CALIBRATION: Final = "calibration"
# Nothing else in the graph begins so.
_PREFIX: Final = "facezoo_fact_"


@dataclass(frozen=True)
class Facts:
    """What a model is.

    Args:
        name: What it is called.
        model: Fingerprint of its weights.
        preprocessing: Fingerprint of what is done to a picture.
        alignment: How crops were made of photographs.
        byte_scale: Step between two codes of `embed_128`, above 0.
        thresholds: Content of thresholds.json; None if nothing was measured.

    Raises:
        ValueError: `byte_scale` is out of range.
    """

    name: str
    model: str
    preprocessing: str
    alignment: str
    byte_scale: float
    thresholds: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.byte_scale < np.inf:
            raise ValueError(
                "byte_scale must be above 0, a step between two numbers of a unit vector, as "
                f"`ops.calibrate_scale` finds it. Received: {self.byte_scale}."
            )

    def constants(self) -> dict[str, np.ndarray]:
        """Returns every fact as an array, by name."""
        texts = {
            NAME: self.name,
            MODEL: self.model,
            PREPROCESSING: self.preprocessing,
            DISTANCE: shapes.DISTANCE,
            ALIGNMENT: self.alignment,
        }
        return {
            **{name: np.array(text.encode(), object) for name, text in texts.items()},
            BYTE_SCALE: np.array(self.byte_scale, np.float32),
            **threshold_constants(self.thresholds),
        }


def threshold_constants(table: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    """Returns the facts that a table of thresholds decides; NaN for what is not known.

    Args:
        table: Content of thresholds.json; None if nothing was measured.
    """
    calibration = table and table["calibration"]
    numbers = (
        [calibration[name] for name in ("intercept", "slope")] if calibration else [np.nan] * 2
    )
    return {
        THRESHOLDS: np.array(json.dumps(table, sort_keys=True).encode(), object),
        # The distances it is compared with are exact in this type, and so is the threshold.
        THRESHOLD: np.array(stored(table, None).value if table else np.nan, np.float64),
        CALIBRATION: np.array(numbers, np.float64),
    }


def constant(facts: Facts, name: str) -> tf.Tensor:
    """Puts a fact into the graph that is being made, under a name that `write` finds."""
    return tf.constant(facts.constants()[name], name=_PREFIX + name)


def read(saved_model: saved_model_pb2.SavedModel, name: str) -> Any:
    """Returns a fact of an exported model.

    Raises:
        ValueError: It has none of this name.
    """
    return tf.make_ndarray(_nodes(saved_model, name)[0].attr["value"].tensor).item()


def write(saved_model: saved_model_pb2.SavedModel, name: str, value: np.ndarray) -> None:
    """Exchanges a fact of an exported model, wherever its graph uses it.

    Raises:
        ValueError: It has none of this name.
    """
    for node in _nodes(saved_model, name):
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))


def _nodes(saved_model: saved_model_pb2.SavedModel, name: str) -> list[node_def_pb2.NodeDef]:
    found = [
        node
        for graph in saved_model.meta_graphs
        for function in graph.graph_def.library.function
        for node in function.node_def
        if node.op == "Const" and node.name == _PREFIX + name
    ]
    if not found:
        raise ValueError(
            f"The SavedModel holds no {name!r}: it is not one of facezoo, or one of an older "
            "version. Export the model again."
        )
    return found
