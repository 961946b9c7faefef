"""Learning rates: a linear warm-up, then cosine, polynomial, steps or a constant."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from facezoo.ops import Tensor

DECAYS = ("cosine", "polynomial", "step", "constant")
_DROP = 0.1


def learning_rate(
    decay: str,
    peak: float,
    num_steps: int,
    *,
    warmup_steps: int = 0,
    final: float = 0.02,
    power: float = 2.0,
    drops: Sequence[float] = (),
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Makes a learning rate for a stage of training.

    Args:
        decay: One of `DECAYS`.
        peak: The highest rate, above 0.
        num_steps: Length of the stage.
        warmup_steps: How many of them rise in a line to the peak.
        final: The last rate of `"cosine"` and `"polynomial"` as a part of the peak.
        power: Of the polynomial; insightface's recipes have 2.
        drops: Parts of the stage after which `"step"` falls to a tenth.

    Raises:
        ValueError: `decay` is unknown.
    """
    schedules = keras.optimizers.schedules
    length = max(1, num_steps - warmup_steps)
    if decay == "cosine":
        rest: Any = schedules.CosineDecay(peak, length, alpha=final)
    elif decay == "polynomial":
        rest = schedules.PolynomialDecay(peak, length, peak * final, power)
    elif decay == "step":
        boundaries = [max(0, round(num_steps * part) - warmup_steps) for part in drops]
        values = [peak * _DROP**number for number in range(len(boundaries) + 1)]
        # Keras leaves a value behind its boundary; the rate shall fall at it.
        rest = schedules.PiecewiseConstantDecay([one - 1 for one in boundaries], values)
    elif decay == "constant":
        rest = schedules.PolynomialDecay(peak, length, peak)
    else:
        raise ValueError(f"decay must be one of {', '.join(DECAYS)}. Received: {decay!r}.")
    return Warmup(rest, peak, warmup_steps) if warmup_steps > 0 else rest


@keras.saving.register_keras_serializable("facezoo")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in a line to the peak, then follows another schedule from its beginning.

    Step s of the warm-up has the rate peak * (s + 1) / warmup_steps: none is wasted on a rate of 0.

    Args:
        schedule: What follows.
        peak: Its first rate.
        warmup_steps: Length of the rise, at least 1.
    """

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        peak: float,
        warmup_steps: int,
    ) -> None:
        super().__init__()
        self.schedule = schedule
        self.peak = float(peak)
        self.warmup_steps = int(warmup_steps)

    def __call__(self, step: Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        rising = self.peak * (step + 1.0) / self.warmup_steps
        behind = self.schedule(ops.maximum(step - self.warmup_steps, 0.0))
        return ops.where(step < self.warmup_steps, rising, behind)

    def get_config(self) -> dict[str, Any]:
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Warmup":
        """Makes the schedule from what `get_config` returned."""
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(**{**config, "schedule": schedule})
