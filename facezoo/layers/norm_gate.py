"""The gate for samples that a network has little to say about: short features count for nothing."""

from typing import Any, ClassVar

import keras
from keras import ops

from facezoo import registry, shapes
from facezoo.ops import Tensor
from facezoo.replicas import gather_batch

_RUNNING = ("running_mean", "percentile")
# Below the root, so that a zero vector has a length with a slope: the published code.
_EPSILON = 1e-6


@registry.register("layer")
@keras.saving.register_keras_serializable("facezoo")
class NormGate(keras.layers.Layer):
    """Norm select: features pass whose length, `sqrt(sum(x^2) + 1e-6)`, reaches a threshold.

    Short features belong to dark, blurred or hidden faces, of which the direction says little.
    Those below the threshold become 0, and so does their gradient. Divide a loss by the number of
    the others: behind a 0 every logit is 0, and a softmax over C classes costs ln C.

    Args:
        threshold: Least length that passes, 0 or more, default 5. `"running_mean"`: the mean length
            of the batch, halfway between what it was before and that of the present batch.
            `"percentile"`: so many percent of the batch's lengths, halfway likewise. Both start at
            0, where everything passes, and are saved with the layer.
        percentile: Percent of the lengths, in [0, 100], default 10; for `"percentile"` only.

    Call:
        features: float [B, D], before normalisation.
        training: bool, whether a running threshold moves, before it is used.

    Returns:
        `{"features": float32 [B, D], "is_kept": float32 [B]}`; is_kept is 1 or 0.

    Raises:
        ValueError: An argument is out of range.

    Numerics:
        float32 under every precision policy. No gradient flows into the lengths. Under
        `tf.distribute` a running threshold is that of the global batch.

    Example:
        >>> import numpy as np
        >>> gated = NormGate(threshold=5.0)(np.array([[3.0, 5.0], [3.0, 3.0]]))
        >>> gated["features"].numpy().tolist(), gated["is_kept"].numpy().tolist()
        ([[3.0, 5.0], [0.0, 0.0]], [1.0, 0.0])

    Source:
        The norm-select layer of the published Caffe systems for MS-Celeb-1M and VGGFace2, where a
        threshold of -1 stands for the running mean; no paper.
    """

    SOURCE: ClassVar[str] = "Norm-select layer of published Caffe systems; no paper"
    TINY: ClassVar[dict[str, Any]] = {"threshold": 2.0}

    def __init__(
        self, threshold: float | str = 5.0, percentile: float = 10.0, **kwargs: Any
    ) -> None:
        kwargs["dtype"] = shapes.FLOAT
        super().__init__(**kwargs)
        if isinstance(threshold, str):
            is_wrong = threshold not in _RUNNING
        else:
            is_wrong = not 0.0 <= float(threshold) < float("inf")
        if is_wrong:
            raise ValueError(
                "threshold must be a length, 0 or more, or one of "
                f"{_RUNNING}. Received: threshold={threshold!r}."
            )
        if not 0.0 <= float(percentile) <= 100.0:
            raise ValueError(
                f"percentile must be in [0, 100]. Received: percentile={percentile!r}."
            )
        self.threshold = threshold if isinstance(threshold, str) else float(threshold)
        self.percentile = float(percentile)

    def build(self, features_shape: tuple[int | None, int]) -> None:
        del features_shape
        if self.threshold in _RUNNING:
            # Every replica moves it alike.
            self.running_threshold = self.add_weight(
                name="running_threshold",
                shape=(),
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
            )
        self.built = True

    def call(self, features: Tensor, training: bool = False) -> dict[str, Tensor]:
        length = ops.sqrt(ops.sum(ops.square(ops.stop_gradient(features)), axis=1) + _EPSILON)
        is_kept = length >= self._limit(length, training)
        return {
            "features": ops.where(is_kept[:, None], features, 0.0),
            "is_kept": ops.cast(is_kept, shapes.FLOAT),
        }

    def _limit(self, length: Tensor, training: bool) -> Tensor | float:
        if self.threshold not in _RUNNING:
            return self.threshold
        if training:
            (length,), _ = gather_batch(length)
            present = (
                ops.mean(length)
                if self.threshold == "running_mean"
                else ops.quantile(length, self.percentile / 100.0)
            )
            self.running_threshold.assign(0.5 * (self.running_threshold + present))
        return ops.convert_to_tensor(self.running_threshold)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "percentile": self.percentile,
        }
