"""A program: trains one step of a small model with a loss on one logical CPU, and on N of them.

Logical devices must be made before TensorFlow starts, and two strategies of several devices get in
each other's way: hence a process of its own for each N.
`python -m tests.checks.replicas LOSS N` prints [{"num_replicas", "loss", "weights"}, ..] as JSON.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from facezoo import registry
from facezoo.contracts import EmbeddingLoss

DIM = 6
# With four replicas no identity is twice on one of them, but for the first.
LABEL = np.array([0, 0, 1, 2, *np.arange(4, 16) % 4])


def train_one_step(loss: EmbeddingLoss, num_replicas: int) -> dict[str, object]:
    rng = np.random.default_rng(5)
    points = rng.normal(size=(len(LABEL), DIM)).astype("float32")
    weight = rng.uniform(0.5, 1.5, len(LABEL)).astype("float32")
    strategy = tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(num_replicas)])
    with strategy.scope():
        model = keras.Sequential([keras.Input((DIM,)), keras.layers.Dense(4, use_bias=False)])
        model.set_weights([rng.normal(size=(DIM, 4))])
        model.compile(keras.optimizers.SGD(0.1), loss)
    history = model.fit(
        points, LABEL, len(LABEL), shuffle=False, verbose=0, sample_weight=weight
    ).history
    weights = np.concatenate([value.ravel() for value in model.get_weights()])
    return {
        "num_replicas": strategy.num_replicas_in_sync,
        "loss": history["loss"][0],
        "weights": weights.tolist(),
    }


def main(name: str, num_replicas: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * num_replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    cls, _ = registry.get("loss", name)
    print(json.dumps([train_one_step(cls(**cls.TINY), n) for n in (1, num_replicas)]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
