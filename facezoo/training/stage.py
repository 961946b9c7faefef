"""A stage of training: one loss, one schedule."""

from dataclasses import dataclass
from typing import Any

import keras

from facezoo.contracts import EmbeddingLoss
from facezoo.models import FaceModel
from facezoo.training.schedule import Schedule


@dataclass(frozen=True)
class Stage:
    """A stretch of training with one loss.

    Args:
        name: Shown in the logs.
        loss: An `EmbeddingLoss`, or a loss on the head's logits.
        schedule: Epochs and learning rate.
        model: What is trained, if not the model that `train` was given: one that shares its
            backbone and embedding and has another head, which begins with the centres of the stage
            before where their shapes are the same.
        batches: Where the images come from, if not from where those of the other stages do.
    """

    name: str
    loss: keras.losses.Loss
    schedule: Schedule
    model: FaceModel | None = None
    batches: Any = None


def compile_stage(stage: Stage, num_steps: int) -> None:
    """Gives the stage's model a fresh optimizer and the stage's loss, within the current scope.

    Raises:
        ValueError: Several replicas would not train with this loss as one; see `refuse_inexact`.
    """
    model = stage.model
    if model.head is not None:
        model.head.trainable = not isinstance(stage.loss, EmbeddingLoss)
    on_tensorflow = keras.backend.backend() == "tensorflow"
    # XLA is slower than TensorFlow's own kernels on a CPU; JAX is nothing without it.
    jit_compile = False if on_tensorflow else "auto"
    model.compile(stage.schedule.make_optimizer(num_steps), stage.loss, jit_compile=jit_compile)
    model.check_replicas()
    model.optimizer.build(model.trainable_variables)


def hand_centers_on(model: FaceModel, following: FaceModel) -> None:
    """Lets the next stage's head, if it is another one, begin with the centres of this stage's."""
    head, next_head = model.head, following.head
    if head is None or next_head is None or head is next_head:
        return
    # Of several data sets, each has a head of its own.
    heads = getattr(head, "heads", [head])
    for one, next_one in zip(heads, getattr(next_head, "heads", [next_head]), strict=False):
        if one.centers.shape == next_one.centers.shape:
            next_one.centers.assign(one.centers)


def refuse_unknown_labels(stage: Stage) -> None:
    """Checks that the head has a class for every label.

    Raises:
        ValueError: The batches have labels beyond the head's classes, which it would mask.
    """
    head, num_labels = stage.model.head, getattr(stage.batches, "num_classes", 0)
    if head is None or isinstance(stage.loss, EmbeddingLoss):
        return
    ends = [end for _, end in head.label_ranges.values()]
    num_classes = max(ends) if ends else head.num_classes
    if num_labels > num_classes:
        raise ValueError(
            f"The head has no class for some people of stage {stage.name!r}, who would be masked. "
            f"Expected: labels below {num_classes}. Received: labels up to {num_labels - 1}. "
            f"Make the head with num_classes={num_labels}, or number the people anew."
        )
