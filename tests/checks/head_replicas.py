"""A program: trains two steps of a small FaceModel with every head on one logical CPU, and on N.

In a process of its own for the reasons that `tests.checks.replicas` gives.
`python -m tests.checks.head_replicas N` prints {head: [on one device, on N devices]} as JSON.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from facezoo import registry
from tests.small_model import images, small_model

NUM_CLASSES = 40
BATCH_SIZE = 16
# Equal labels on one replica and on several, and most classes in no batch.
LABEL = (np.arange(2 * BATCH_SIZE) * 5 % 13).astype("int32")
# Masked, on one replica more than on the other.
LABEL[[0, 1, 2, 17, 25, 26]] = -1


def cross_entropy(label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """A masked row counts as of class 0; its weight is 0."""
    label = keras.ops.maximum(label, 0)
    return keras.losses.sparse_categorical_crossentropy(label, logits, from_logits=True)


def train_two_steps(cls: type, strategy: tf.distribute.Strategy) -> dict[str, object]:
    weight = np.random.default_rng(5).uniform(0.5, 1.5, len(LABEL)).astype("float32")
    weight[LABEL < 0] = 0.0
    with strategy.scope():
        model = small_model(cls(**{**cls.TINY, "num_classes": NUM_CLASSES}))
        model.compile(keras.optimizers.SGD(1e-3), cross_entropy)
    options = {"batch_size": BATCH_SIZE, "shuffle": False, "verbose": 0, "sample_weight": weight}
    history = model.fit(5.0 * images(len(LABEL)), LABEL, **options).history
    weights = np.concatenate([np.ravel(value) for value in model.get_weights()])
    return {"loss": history["loss"][0], "weights": weights.tolist()}


def main(num_replicas: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * num_replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    names = [f"/cpu:{i}" for i in range(num_replicas)]
    strategies = [tf.distribute.MirroredStrategy(part) for part in (names[:1], names)]
    found = {
        name: [train_two_steps(cls, strategy) for strategy in strategies]
        for name, cls in registry.parts("head").items()
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]))
