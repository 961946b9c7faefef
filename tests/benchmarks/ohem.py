"""Seconds and memory of a step on the hardest samples, beside steps on all of them.

    python -m tests.benchmarks.ohem --variant=mobilefacenet --samples=64 --hard=16

`all` learns from every sample; `masked` zeroes the loss of those that are not among the hardest,
the gradient of hard examples at the price of `all`; `hard` is `HardExampleModel`; `small` learns
from as many samples as are hard, chosen by nobody: what a step costs at the least. Each runs in a
process of its own, in turns; a time is the median of all turns. Memory is the highest of the
process less that before the first step, or on a GPU that of the device.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

# Before TensorFlow is imported: its notes would stand in the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import facezoo

_VARIANT = flags.DEFINE_string("variant", "mobilefacenet", "Backbone.")
_SAMPLES = flags.DEFINE_integer("samples", 64, "Samples looked at in a step.")
_HARD = flags.DEFINE_integer("hard", 16, "Samples learnt from.")
_CLASSES = flags.DEFINE_integer("classes", 1000, "Columns of the head.")
_STEPS = flags.DEFINE_integer("steps", 5, "Steps of a turn.")
_TURNS = flags.DEFINE_integer("turns", 3, "Turns of each kind of step.")
_KIND = flags.DEFINE_string("kind", None, "Of one process; set by the program itself.")

KINDS = ("all", "masked", "hard", "small")


class MaskedModel(facezoo.FaceModel):
    """The naive form: the others are run forward and backward with a loss of zero."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits = self.head(y_pred["embedding"], y_pred["norm"], y, training=training)
        losses = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
        return tf.reduce_sum(tf.math.top_k(losses, _HARD.value).values) / _HARD.value


def _model(kind: str) -> facezoo.FaceModel:
    head = facezoo.create_head("cosface", num_classes=_CLASSES.value)
    plain = facezoo.create_model(_VARIANT.value, head=head)
    if kind == "hard":
        return facezoo.HardExampleModel.of(plain, num_hard=_HARD.value, max_similarity=None)
    cls = MaskedModel if kind == "masked" else facezoo.FaceModel
    return cls(plain.backbone, plain.embedding, head, plain.preprocessing)


def _measure(kind: str) -> dict[str, object]:
    model = _model(kind)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), cross_entropy, jit_compile=False)
    size = _HARD.value if kind == "small" else _SAMPLES.value
    rng = np.random.default_rng(0)
    image = rng.normal(size=(size, *model.backbone.image_shape)).astype("float32")
    batch = tf.constant(image), tf.constant(rng.integers(0, _CLASSES.value, size), tf.int32)
    before, seconds = _highest_memory(), []
    for _ in range(1 + _STEPS.value):
        start = time.perf_counter()
        model.train_on_batch(*batch)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1:], "memory": (_highest_memory() - before) / 2**20}


def _highest_memory() -> float:
    """Bytes."""
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _in_a_process(kind: str) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.benchmarks.ohem", *sys.argv[1:], f"--kind={kind}"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def main(arguments: list[str]) -> None:
    """Prints one line per kind of step."""
    del arguments
    if _KIND.value:
        print(json.dumps(_measure(_KIND.value)))
        return
    turns = [{kind: _in_a_process(kind) for kind in KINDS} for _ in range(_TURNS.value)]
    seconds = {
        kind: statistics.median(one for turn in turns for one in turn[kind]["seconds"])
        for kind in KINDS
    }
    memory = {kind: statistics.median(turn[kind]["memory"] for turn in turns) for kind in KINDS}
    print(f"{_VARIANT.value}, {_HARD.value} of {_SAMPLES.value}")
    for kind in KINDS:
        time_ratio, memory_ratio = seconds[kind] / seconds["all"], memory[kind] / memory["all"]
        print(
            f"{kind:8} {seconds[kind]:7.3f} s ({time_ratio:.2f})"
            f"  {memory[kind]:8.0f} MiB ({memory_ratio:.2f})"
        )


if __name__ == "__main__":
    app.run(main)
