"""A .keras file: for Python, and for training it further."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facezoo.keras_archive import forget_time
from facezoo.models import FaceModel
from facezoo.serving.formats.form import Embed, Form, TrainedModel
from facezoo.serving.frozen import IMAGE


def _write(trained: TrainedModel, path: Path) -> None:
    trained.model.save(path)
    forget_time(path)


def _open(path: Path) -> Embed:
    return keras_embed(keras.models.load_model(path))


def keras_embed(model: FaceModel) -> Embed:
    """Runs a Keras model as a graph, with the layers' own operations."""
    spec = tf.TensorSpec([None, *model.preprocessing.image_shape], tf.float32, IMAGE)
    graph = tf.function(
        lambda image: model(image, training=False), input_signature=[spec], autograph=False
    )

    def embed(image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return {name: values.numpy() for name, values in graph(image).items()}

    return embed


KERAS = Form("keras", "model.keras", _write, _open)
