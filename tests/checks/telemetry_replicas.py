"""A program: telemetry of two steps of a FaceModel on one logical CPU, and on two of them.

In a process of its own for the reasons that `tests.checks.replicas` gives.
`python -m tests.checks.telemetry_replicas` prints the logs [{name: value}, ..] as JSON.
"""

import json

import keras
import tensorflow as tf

import facezoo
from tests.checks.replicas import LABEL
from tests.small_model import images, small_model


def logs(num_replicas: int) -> dict[str, float]:
    strategy = tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(num_replicas)])
    with strategy.scope():
        model = small_model(head=None)
        loss = facezoo.TripletSemiHardLoss(0.2, "squared-L2")
        model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    size = len(LABEL)
    image = images(2 * size)
    label = [*LABEL, *LABEL]
    history = model.fit(image, tf.constant(label), size, shuffle=False, verbose=0, epochs=1).history
    return {name: values[0] for name, values in history.items()}


def main() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    print(json.dumps([logs(num_replicas) for num_replicas in (1, 2)]))


if __name__ == "__main__":
    main()
