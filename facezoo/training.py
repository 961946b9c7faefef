"""The training loop: stages of epochs on P x K batches, deterministic from a seed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from facezoo.contracts import EmbeddingLoss
from facezoo.data.dataset import TrainingBatches
from facezoo.models import CollapseAlarm, FaceModel

# Names of the variables that weight decay spares.
_NO_DECAY = ("bias", "gamma", "beta", "alpha")


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a stage learns: linear warm-up, then half a cosine down.

    Args:
        epochs: Passes over as many images as the training set has; 0 leaves the stage out.
        learning_rate: Peak of AdamW's learning rate.
        weight_decay: Decoupled decay; biases, slopes and batch normalisation are spared.
        warmup: Part of the steps spent rising to the peak.
        ema: Momentum of a moving average of the weights that takes their place when the stage ends;
            0 for none.

    Raises:
        ValueError: A value is out of range.
    """

    epochs: int
    learning_rate: float
    weight_decay: float = 1e-4
    warmup: float = 0.1
    ema: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs must be 0 or more. Received: {self.epochs}.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0. Received: {self.learning_rate}.")
        for name in ("warmup", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1). Received: {getattr(self, name)}.")

    def optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        """Returns a fresh optimizer whose schedule spans this many steps."""
        rise = max(1, round(steps * self.warmup))
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=self.learning_rate / rise,
            decay_steps=max(1, steps - rise),
            alpha=0.02,
            warmup_target=self.learning_rate,
            warmup_steps=rise,
        )
        optimizer = keras.optimizers.AdamW(
            rate, weight_decay=self.weight_decay, use_ema=self.ema > 0, ema_momentum=self.ema
        )
        optimizer.exclude_from_weight_decay(var_names=list(_NO_DECAY))
        return optimizer


@dataclass(frozen=True)
class Stage:
    """A stretch of training with one loss.

    Args:
        name: Shown in the logs.
        loss: An `EmbeddingLoss`, or a loss on the head's logits.
        schedule: Epochs and learning rate.
    """

    name: str
    loss: keras.losses.Loss
    schedule: Schedule


class _Telemetry(keras.callbacks.Callback):
    """Reports steps, keeps the history and writes scalars for TensorBoard, across stages."""

    def __init__(self, log_dir: str, advance: Callable[[int], None]) -> None:
        super().__init__()
        self._writer = tf.summary.create_file_writer(log_dir)
        self._advance = advance
        self.stage = ""
        self.step = 0
        self.history: list[dict[str, float | int | str]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.step += 1
        self._advance(1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        if not all(map(math.isfinite, values.values())):
            raise ValueError(
                f"The loss is no longer a number at step {self.step} of stage {self.stage!r}: "
                f"{values}. Lower the learning rate or the head's scale."
            )
        values["learning_rate"] = float(self.model.optimizer.learning_rate)
        self.history.append({"stage": self.stage, "step": self.step, **values})
        with self._writer.as_default(step=self.step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self._writer.flush()


def make_deterministic(seed: int) -> None:
    """Makes what follows depend on the seed alone: initial weights, layer names, op results."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def steps_per_epoch(batches: TrainingBatches) -> int:
    """Returns how many batches hold as many images as the training set."""
    return math.ceil(len(batches.label) / batches.batch_size)


def train(
    model: FaceModel,
    batches: TrainingBatches,
    stages: Sequence[Stage],
    log_dir: str,
    advance: Callable[[int], None],
) -> list[dict[str, float | int | str]]:
    """Trains a model in place, stage after stage, each with a fresh optimizer.

    Args:
        model: With a head, if a stage has a loss on logits.
        batches: Where the images come from; the stages share one stream of batches.
        stages: In order; one with 0 epochs is left out.
        log_dir: For TensorBoard.
        advance: Called with 1 after every step.

    Returns:
        One entry per epoch: stage, step, learning rate and the epoch's means.

    Raises:
        ValueError: The loss is no longer a number.
        RuntimeError: A triplet loss has made all embeddings one point.
    """
    telemetry = _Telemetry(log_dir, advance)
    length = steps_per_epoch(batches)
    for stage in stages:
        epochs = stage.schedule.epochs
        if epochs == 0:
            continue
        telemetry.stage = stage.name
        if model.head is not None:
            model.head.trainable = not isinstance(stage.loss, EmbeddingLoss)
        model.compile(stage.schedule.optimizer(epochs * length), stage.loss, jit_compile=False)
        model.fit(
            batches.dataset(first_step=telemetry.step),
            epochs=epochs,
            steps_per_epoch=length,
            callbacks=[telemetry, CollapseAlarm()],
            shuffle=False,
            verbose=0,
        )
    if model.head is not None:
        model.head.trainable = True
    return telemetry.history
