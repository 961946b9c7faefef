"""How often the own class wins: among all samples, and among those of each data set."""

from collections.abc import Mapping

import keras
from keras import ops

from facezoo import shapes
from facezoo.ops import Tensor


class ClassAccuracy(keras.metrics.Metric):
    """Share of the samples whose own class has the highest logit.

    Its result is a dictionary, which Keras logs name by name: `class_accuracy` of all samples, and
    `class_accuracy/NAME` of those of a data set, all without weights.

    Args:
        label_ranges: First label and end of each data set, by name; see `MarginHead.label_ranges`.
        name: Of the metric.
    """

    def __init__(
        self, label_ranges: Mapping[str, tuple[int, int]], name: str = "class_accuracy"
    ) -> None:
        super().__init__(name=name)
        self._ranges = tuple(label_ranges.values())
        self._names = (name, *(f"{name}/{one}" for one in label_ranges))
        self.num_correct = self.add_variable((len(self._names),), "zeros", name="num_correct")
        self.num_samples = self.add_variable((len(self._names),), "zeros", name="num_samples")

    def update_state(self, label: Tensor, is_correct: Tensor) -> None:
        label = ops.cast(label, shapes.LABEL)
        masks = [ops.ones_like(label, dtype="bool")]
        masks += [ops.logical_and(label >= first, label < end) for first, end in self._ranges]
        counts = ops.cast(ops.stack(masks), shapes.FLOAT)
        correct = counts * ops.cast(is_correct, shapes.FLOAT)[None, :]
        self.num_correct.assign_add(ops.sum(correct, axis=1))
        self.num_samples.assign_add(ops.sum(counts, axis=1))

    def result(self) -> dict[str, Tensor]:
        shares = self.num_correct / ops.maximum(self.num_samples, 1.0)
        return {name: shares[place] for place, name in enumerate(self._names)}

    def save_own_variables(self, store: object) -> None:
        """Saves nothing: a count is no part of a model."""

    def load_own_variables(self, store: object) -> None:
        """Loads nothing."""
