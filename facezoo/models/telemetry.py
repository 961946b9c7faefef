"""Telemetry of triplet losses: whether they still teach, and an alarm for collapsed embeddings."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from facezoo.ops import Tensor

_MEANS = (
    "active_fraction",
    "semi_hard_fraction",
    "fallback_fraction",
    "mean_d_ap",
    "mean_d_an",
    "embedding_variance",
    "effective_rank",
)
_COLLAPSED_STEPS = "collapsed_steps"


@keras.saving.register_keras_serializable("facezoo")
class TripletTelemetry(keras.metrics.Metric):
    """Means over the steps of what `facezoo.triplets.triplet_statistics` computes in each.

    Its result is a dictionary, which Keras logs name by name, and which so reaches TensorBoard.
    `collapsed_steps` is no mean: it is how many training steps without a break ended in collapse,
    up to now and across epochs. Statistics are those of the global batch, on every replica.
    """

    def __init__(self, name: str = "triplet_telemetry", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable((len(_MEANS),), "zeros", name="total")
        self.num_steps = self.add_variable((), "zeros", name="num_steps")
        self.collapsed_steps = self.add_variable(
            (), "zeros", aggregation="only_first_replica", name=_COLLAPSED_STEPS
        )

    def update_state(self, statistics: Mapping[str, Tensor], training: bool = True) -> None:
        self.total.assign_add(ops.stack([statistics[name] for name in _MEANS]))
        self.num_steps.assign_add(1.0)
        if training:
            is_collapsed = statistics["is_collapsed"]
            self.collapsed_steps.assign((self.collapsed_steps + 1.0) * is_collapsed)

    def result(self) -> dict[str, Tensor]:
        means = self.total / ops.maximum(self.num_steps, 1.0)
        found = {name: means[index] for index, name in enumerate(_MEANS)}
        return {**found, _COLLAPSED_STEPS: ops.convert_to_tensor(self.collapsed_steps)}

    def reset_state(self) -> None:
        # The count of collapsed steps goes on: an epoch may be shorter than the alarm is patient.
        self.total.assign(ops.zeros(self.total.shape))
        self.num_steps.assign(0.0)

    def save_own_variables(self, store: Any) -> None:
        """Saves nothing: telemetry is no part of a model."""

    def load_own_variables(self, store: Any) -> None:
        """Loads nothing."""


class CollapseAlarm(keras.callbacks.Callback):
    """Stops a training whose embeddings have become one and the same point.

    There every distance is 0 and the loss is exactly the margin, with a gradient of exactly 0: a
    stationary point, out of which no further step leads.

    Args:
        patience: Steps without a break that must have ended in collapse, at least 1.

    Raises:
        ValueError: `patience` is below 1.
        RuntimeError: In `fit`, after so many steps; the message names the remedies.
    """

    def __init__(self, patience: int = 20) -> None:
        super().__init__()
        if patience < 1:
            raise ValueError(f"patience must be at least 1. Received: patience={patience}.")
        self.patience = patience

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if (logs or {}).get(_COLLAPSED_STEPS, 0) >= self.patience:
            raise RuntimeError(
                f"The embeddings have collapsed: for {self.patience} steps all of a batch were one "
                "point, the loss was the margin, and no gradient is left. Go back to weights from "
                "before, and train with a classification head first, with semi-hard instead of "
                "hardest negatives, or with a lower learning rate."
            )
