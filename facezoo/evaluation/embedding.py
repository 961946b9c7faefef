"""Images to embeddings: by a model, and by the two baselines that every model must beat."""

import random
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facezoo import shapes
from facezoo.data.decode import decode_and_resize
from facezoo.data.preprocessing import Preprocessing
from facezoo.models import FaceModel

_PIXEL_SIDE = 32


def decode_batch(encoded: Sequence[bytes], preprocessing: Preprocessing) -> tf.Tensor:
    """Decodes JPEG or PNG images and brings them to the network's size.

    Returns:
        float32 [B, H, W, 3] in [0, 255], not yet standardised.
    """
    return tf.stack([decode_and_resize(one, preprocessing) for one in encoded])


def embed_batch(model: FaceModel, image: tf.Tensor) -> NDArray[np.float32]:
    """Embeds one batch in inference mode: no image's embedding depends on its neighbours.

    Args:
        model: The model.
        image: float32 [B, H, W, 3], standardised by `model.preprocessing`.

    Returns:
        Unit embeddings, float32 [B, D].
    """
    return keras.ops.convert_to_numpy(model(image, training=False)[shapes.EMBEDDING])


def embed_dataset(
    model: FaceModel, dataset: tf.data.Dataset
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Embeds a whole dataset, such as `facezoo.data.dataset.image_dataset` makes.

    Args:
        model: The model.
        dataset: At least one batch of (image float32 [B, H, W, 3] standardised, label int32 [B]).

    Returns:
        `(embedding float32 [N, D], label int32 [N])` in the dataset's order.
    """
    batches = [(embed_batch(model, image), label.numpy()) for image, label in dataset]
    embedding, label = zip(*batches, strict=True)
    return np.concatenate(embedding), np.concatenate(label)


def pixel_embedding(image: tf.Tensor) -> NDArray[np.float32]:
    """The baseline that needs no network: pixels less their mean, at unit length.

    The squared L2 distance of two such vectors is `2 - 2 * correlation of the two images`. Sides
    above 32 pixels are averaged down to 32, which loses next to nothing (on the AT&T faces it
    even helps) and keeps thousands of images in memory.

    Args:
        image: float32 [B, H, W, 3] in [0, 255].

    Returns:
        float32 [B, D]; an image of one grey gives zeros.
    """
    height, width = (min(side, _PIXEL_SIDE) for side in image.shape[1:3])
    small = tf.image.resize(image, (height, width), method="area")
    pixels = small.numpy().reshape(len(small), -1)
    pixels -= pixels.mean(axis=1, keepdims=True)
    length = np.linalg.norm(pixels, axis=1, keepdims=True)
    return np.divide(pixels, length, out=np.zeros_like(pixels), where=length > 0)


def untrained_model(model: FaceModel, seed: int = 0) -> FaceModel:
    """The baseline that has learned nothing: the same architecture with fresh weights.

    Args:
        model: Where the architecture comes from; it is not changed.
        seed: Decides the weights.
    """
    state = random.getstate()
    # Keras draws the seeds of initialisers that have none from Python's own generator.
    random.seed(seed)
    try:
        return type(model).from_config(model.get_config())
    finally:
        random.setstate(state)
