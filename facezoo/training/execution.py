"""How a training is carried out: where, how often it is saved, and the same each time."""

from dataclasses import dataclass, field
from pathlib import Path

import keras

from facezoo.training.distribution import Distribution


@dataclass(frozen=True)
class Execution:
    """How a training is carried out; none of it changes what is learnt, but for rounding.

    Args:
        distribution: On which devices.
        work_dir: For checkpoints and what is written aside; shared by all machines. None for none.
        checkpoint_every: Steps between two checkpoints; 0 for the ends of stages only.
        num_chunks: Pieces into which the rows of each replica are cut to save memory; 1 for none.

    Raises:
        ValueError: A number is out of range.
    """

    distribution: Distribution = field(default_factory=Distribution)
    work_dir: Path | None = None
    checkpoint_every: int = 50
    num_chunks: int = 1

    def __post_init__(self) -> None:
        for name, least in (("checkpoint_every", 0), ("num_chunks", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be {least} or more. Received: {getattr(self, name)}."
                )


def make_deterministic(seed: int) -> None:
    """Makes what follows depend on the seed alone: initial weights, layer names, op results."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
