"""The smallest FaceModel that trains, saves and loads: a 1 x 1 convolution under the embedding."""

import keras
import numpy as np

import facezoo
from facezoo.contracts import Backbone, MarginHead

SHAPE = (2, 2, 3)
EMBEDDING_DIM = 4


@keras.saving.register_keras_serializable("facezoo_tests")
class OneByOne(Backbone):
    """No batch normalisation: replicas would differ by it."""

    EMBEDDING = {"embedding_dim": EMBEDDING_DIM, "pooling": "flatten"}

    def __init__(self, name="one_by_one", **kwargs):
        image = keras.Input(SHAPE)
        output = keras.layers.Conv2D(2, 1, name="convolution")(image)
        super().__init__(inputs=image, outputs=output, name=name, **kwargs)
        self.image_shape = SHAPE

    def get_config(self):
        return {"name": self.name}


def small_model(head: MarginHead | None, **embedding: object) -> facezoo.FaceModel:
    """Returns the model with weights that depend on their shapes alone."""
    model = facezoo.create_model(OneByOne(), head=head, embedding=embedding)
    rng = np.random.default_rng(7)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def images(count: int) -> np.ndarray:
    """Returns random images."""
    return np.random.default_rng(8).normal(size=(count, *SHAPE)).astype("float32")
