"""A program: trains a small FaceModel with an auxiliary loss on one logical CPU, and on N of them.

In a process of its own for the reasons that `tests.checks.replicas` gives.
`python -m tests.checks.auxiliary_loss_replicas LOSS N` prints [{"num_replicas", "loss", "weights"},
..] as JSON.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

import facezoo
from facezoo import registry
from facezoo.losses import SupConLoss
from tests.small_model import images, small_model

BATCH_SIZE = 16
# The same identity on one replica and on several.
LABEL = (np.arange(3 * BATCH_SIZE) * 5 % 13 % 5).astype("int32")


def train_three_steps(cls: type, num_replicas: int) -> dict[str, object]:
    weight = np.random.default_rng(5).uniform(0.5, 1.5, len(LABEL)).astype("float32")
    strategy = tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(num_replicas)])
    keras.utils.set_random_seed(0)
    with strategy.scope():
        base = small_model(None)
        model = facezoo.FaceModel(base.backbone, base.embedding, auxiliary_loss=cls(**cls.TINY))
        model.compile(keras.optimizers.SGD(1e-2), SupConLoss())
    options = {"batch_size": BATCH_SIZE, "shuffle": False, "verbose": 0, "sample_weight": weight}
    history = model.fit(images(len(LABEL)), LABEL, **options).history
    weights = np.concatenate([np.ravel(value) for value in model.get_weights()])
    return {
        "num_replicas": strategy.num_replicas_in_sync,
        "loss": history["loss"][0],
        "weights": weights.tolist(),
    }


def main(name: str, num_replicas: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * num_replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    cls, _ = registry.get("auxiliary_loss", name)
    print(json.dumps([train_three_steps(cls, n) for n in (1, num_replicas)]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
