"""A program: the gradients of two heads side by side on one logical CPU, and on N of them.

In a process of its own for the reasons that `tests.checks.replicas` gives.
`python -m tests.checks.concat_replicas N` prints as JSON {"wanted": the trunk's gradient by each
set's own head, weighted and summed; "single", "several": {gradient, logs, statistics}}.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from facezoo import create_head
from facezoo.heads import ConcatHead
from facezoo.models import FaceModel
from tests.small_model import images, small_model

# Batches of 12 and 8 rows; weights in the loss.
SIZES, ROWS, LOSS_WEIGHTS = (7, 5), (12, 8), (0.3, 0.7)
OWNER = np.repeat([0, 1], ROWS)
LABEL = np.concatenate([np.arange(12) % 7, 7 + np.arange(8) % 5]).astype("int32")
WEIGHT = np.repeat(np.divide(LOSS_WEIGHTS, ROWS) * sum(ROWS), ROWS).astype("float32")
IMAGE = 3.0 * images(sum(ROWS))


def make_model() -> FaceModel:
    heads = [
        create_head("curricularface", num_classes=SIZES[0], scale=8.0),
        create_head("arcface", num_classes=SIZES[1], scale=16.0),
    ]
    model = small_model(ConcatHead(heads, ["fiw", "celeba"]))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def flat(gradients: list[tf.Tensor]) -> list[float]:
    return np.concatenate([np.ravel(one) for one in gradients]).tolist()


def on_replicas(num_replicas: int) -> dict[str, object]:
    strategy = tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(num_replicas)])
    with strategy.scope():
        model = make_model()
    parts = [
        strategy.experimental_distribute_values_from_function(
            lambda context, part=part: tf.constant(
                part[context.replica_id_in_sync_group :: num_replicas]
            )
        )
        for part in (IMAGE, LABEL, WEIGHT)
    ]
    variables = model.backbone.trainable_variables

    @tf.function
    def step(image: tf.Tensor, label: tf.Tensor, weight: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            output = model(image, training=True)
            loss = model.compute_loss(image, label, output, weight)
        gradients = tape.gradient(loss, [one.value for one in variables])
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)

    gradients = strategy.run(step, parts)
    gradients = [strategy.experimental_local_results(one)[0] for one in gradients]
    logs = {name: float(value) for name, value in model.class_accuracy.result().items()}
    statistics = [float(weight.numpy()) for weight in model.head.non_trainable_weights]
    return {"gradient": flat(gradients), "logs": logs, "statistics": statistics}


def by_own_heads() -> list[float]:
    total = 0.0
    for place, weight in enumerate(LOSS_WEIGHTS):
        model, rows = make_model(), OWNER == place
        label = LABEL[rows] - place * SIZES[0]
        with tf.GradientTape() as tape:
            output = model(IMAGE[rows], training=True)
            head = model.head.heads[place]
            logits = head(output["embedding"], output["norm"], label, training=True)
            loss = model.loss(label, logits)
        gradients = tape.gradient(loss, [one.value for one in model.backbone.trainable_variables])
        total = total + weight * np.array(flat(gradients))
    return total.tolist()


def main(num_replicas: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * num_replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    found = {"wanted": by_own_heads(), "single": on_replicas(1)}
    print(json.dumps({**found, "several": on_replicas(num_replicas)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
