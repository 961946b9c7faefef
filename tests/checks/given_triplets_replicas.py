"""A program: loss and gradient of given triplets on one logical CPU, and on N, rows r::n on each.

In a process of its own for the reasons that `tests.checks.replicas` gives.
`python -m tests.checks.given_triplets_replicas N` prints [{loss, gradient}, ..] as JSON.
"""

import json
import sys

import numpy as np
import tensorflow as tf

from facezoo.losses import GivenTripletsLoss
from tests.small_model import images, small_model

IMAGE = images(24)
WEIGHT = np.random.default_rng(5).uniform(0.5, 1.5, len(IMAGE)).astype("float32")


def on_replicas(num_replicas: int) -> dict[str, object]:
    strategy = tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(num_replicas)])
    with strategy.scope():
        model = small_model(None)
        model.compile(loss=GivenTripletsLoss(0.5))
    image, weight = (
        strategy.experimental_distribute_values_from_function(
            lambda context, part=part: tf.constant(
                part[context.replica_id_in_sync_group :: num_replicas]
            )
        )
        for part in (IMAGE, WEIGHT)
    )

    @tf.function
    def step(image: tf.Tensor, weight: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            label = tf.zeros(tf.shape(image)[0], tf.int32)
            loss = model.compute_loss(image, label, model(image, training=True), weight)
        gradients = tape.gradient(loss, [one.value for one in model.trainable_variables])
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, [loss, *gradients])

    found = strategy.run(step, (image, weight))
    loss, *gradients = (strategy.experimental_local_results(one)[0].numpy() for one in found)
    gradient = np.concatenate([np.ravel(one) for one in gradients])
    return {"loss": float(loss), "gradient": gradient.tolist()}


def main(num_replicas: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * num_replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    print(json.dumps([on_replicas(number) for number in (1, num_replicas)]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
