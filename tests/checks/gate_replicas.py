"""A program: trains a FaceModel with each kind of norm gate on one logical CPU, and on N of them.

In a process of its own for the reasons that `tests.checks.replicas` gives.
`python -m tests.checks.gate_replicas N` prints [{threshold: {loss, weights}} on one, on N] as JSON.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from facezoo import FaceModel, create_head
from facezoo.layers import NormGate
from tests.small_model import images, small_model

BATCH_SIZE = 16
LABEL = (np.arange(2 * BATCH_SIZE) % 4).astype("int32")
# Images grow along the batch, so that more rows are kept on one replica than on another.
IMAGE = images(len(LABEL)) * np.linspace(0.2, 3.0, len(LABEL), dtype="float32")[:, None, None, None]


def train_two_steps(threshold: float | str, strategy: tf.distribute.Strategy) -> dict[str, object]:
    with strategy.scope():
        base = small_model(create_head("cosface", num_classes=4, scale=8.0))
        gate = NormGate(threshold, percentile=40.0)
        model = FaceModel(base.backbone, base.embedding, base.head, gate=gate)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss)
    history = model.fit(IMAGE, LABEL, batch_size=BATCH_SIZE, shuffle=False, verbose=0).history
    weights = np.concatenate([np.ravel(value) for value in model.get_weights()])
    return {"loss": history["loss"][0], "weights": weights.tolist()}


def main(num_replicas: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * num_replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    names = [f"/cpu:{i}" for i in range(num_replicas)]
    strategies = [tf.distribute.MirroredStrategy(part) for part in (names[:1], names)]
    thresholds = (2.0, "running_mean", "percentile")
    found = [
        {str(threshold): train_two_steps(threshold, strategy) for threshold in thresholds}
        for strategy in strategies
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]))
