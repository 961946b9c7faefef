"""A program: trains a very small model in some of the ways there are, and writes what became of it.

Logical devices and machines must be made before TensorFlow starts, and a kill needs a victim: hence
a process of its own. `python -m tests.checks.training_program JSON`, a list of `Settings`' fields.
"""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import facezoo
from facezoo.contracts import Backbone
from facezoo.data.batches import Batch
from facezoo.data.preprocessing import Preprocessing
from facezoo.training import (
    Distribution,
    Execution,
    Schedule,
    Stage,
    create_distribution,
    make_deterministic,
    train,
)
from facezoo.training.batch_norm import synchronize_batch_norm
from facezoo.training.distribution import ReplicatedDistribution

PEOPLE, EACH, DEVICES = 3, 8, 4
SHAPE = (6, 5, 3)


@dataclass(frozen=True)
class Settings:
    """What to train; `out` gets `weights.npz` and `history.json`.

    Args:
        out: Folder for the result.
        loss: `"margin"`, `"triplet"` or `"both"`, one after the other.
        strategy: See `create_distribution`.
        num_devices: How many of the four logical CPU devices `"mirrored"` takes.
        num_chunks: See `Execution`.
        gradient: Whether one plain step at rate 1 is made, so that weights show the gradient.
        precision: Of the model.
        work_dir: For checkpoints, every 3 steps.
        kill_at: Step after which the process kills itself, -1 for never.
        pause: Seconds that each step lasts longer.
    """

    out: str
    loss: str = "both"
    strategy: str = "single"
    num_devices: int = 1
    num_chunks: int = 1
    gradient: bool = False
    precision: str = "float32"
    work_dir: str = ""
    kill_at: int = -1
    pause: float = 0.0


class OneConvolution(Backbone):
    """The smallest thing that learns, with statistics and random numbers of its own."""

    def __init__(self, dropout: float) -> None:
        image = keras.Input(SHAPE)
        features = keras.layers.Conv2D(8, 3, use_bias=False, name="conv")(image)
        features = keras.layers.BatchNormalization(name="bn")(features)
        features = keras.layers.Dropout(dropout, name="dropout")(features)
        super().__init__(inputs=image, outputs=keras.layers.ReLU()(features))
        self.image_shape = SHAPE


class FewImages:
    """Stands for `TrainingBatches`: three people, always the same images, shuffled anew."""

    batch_size = num_images = PEOPLE * EACH
    preprocessing = Preprocessing(*SHAPE[:2])

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.label = np.repeat(np.arange(PEOPLE, dtype=np.int32), EACH)
        faces = rng.normal(size=(PEOPLE, *SHAPE))[self.label]
        noisy = faces + rng.normal(size=faces.shape)
        self.image = (127.5 + 128.0 * noisy).astype(np.float32)

    @staticmethod
    def augmentation(image, draw):
        return image

    def read(self, step, rows=None):
        order = np.random.default_rng(step).permutation(self.batch_size)
        order = order if rows is None else order[rows]
        return Batch(self.image[order], self.label[order], np.zeros((len(order), 1), np.float32))


class Trouble(keras.callbacks.Callback):
    """Kills the process, or makes it slow."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def on_train_batch_end(self, batch, logs=None):
        print(f"step {batch}", flush=True)
        time.sleep(self._settings.pause)
        if batch == self._settings.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def make_stages(settings: Settings) -> list[Stage]:
    schedule = Schedule(4, 0.02, ema=0.5)
    if settings.gradient:
        schedule = Schedule(
            1, 1.0, optimizer="sgd", momentum=0.0, weight_decay=0.0, decay="constant", warmup=0.0
        )
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    triplet = facezoo.TripletSemiHardLoss(0.2, "squared-L2")
    stages = [Stage("margin", cross_entropy, schedule), Stage("triplet", triplet, schedule)]
    return [stage for stage in stages if settings.loss in (stage.name, "both")]


def make_model(settings: Settings) -> facezoo.FaceModel:
    keras.config.set_dtype_policy(settings.precision)
    # Each replica draws its own: only a single device can be compared with dropout.
    dropout = 0.0 if settings.gradient or settings.strategy != "single" else 0.2
    head = facezoo.create_head("cosface", num_classes=PEOPLE, scale=8.0)
    model = facezoo.create_model(OneConvolution(dropout), 4, head, embedding={"pooling": "average"})
    # A chunk's statistics are another thing than a batch's.
    model.backbone.get_layer("bn").trainable = settings.num_chunks == 1 and not settings.gradient
    synchronize_batch_norm(model)
    return model


def make_distribution(settings: Settings) -> Distribution:
    if settings.strategy != "mirrored":
        return create_distribution(settings.strategy)
    names = [f"/cpu:{number}" for number in range(settings.num_devices)]
    reduction = tf.distribute.ReductionToOneDevice()
    return ReplicatedDistribution(tf.distribute.MirroredStrategy(names, reduction))


def run(settings: Settings) -> None:
    distribution = make_distribution(settings)
    make_deterministic(5)
    with distribution.scope():
        model = make_model(settings)
    work_dir = Path(settings.work_dir) if settings.work_dir else None
    execution = Execution(distribution, work_dir, 3, settings.num_chunks)
    history = train(model, FewImages(), make_stages(settings), execution, [Trouble(settings)])
    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / "weights.npz", *[np.array(weight) for weight in model.weights])
    (out / "history.json").write_text(json.dumps(history))


def main(runs: list[Settings]) -> None:
    if any(settings.strategy == "mirrored" for settings in runs):
        cpu = tf.config.list_physical_devices("CPU")[0]
        devices = [tf.config.LogicalDeviceConfiguration()] * DEVICES
        tf.config.set_logical_device_configuration(cpu, devices)
    for settings in runs:
        run(settings)


if __name__ == "__main__":
    main([Settings(**one) for one in json.loads(sys.argv[1])])
