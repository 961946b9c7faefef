"""The base of the losses that compare distances with a margin."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from facezoo.contracts import EmbeddingLoss
from facezoo.ops import Tensor, pairwise_distance

_MEANS = ("all", "active")


class DistanceLoss(EmbeddingLoss):
    """An `EmbeddingLoss` with a margin and a distance, both of which are saved with it.

    Args:
        margin: 0 or more, in the unit of the distance.
        distance_metric: A name of `facezoo.ops.DISTANCES`, or a function from points [B, D] to
            distances [B, B], registered with Keras if the loss is to be saved.
        mean_over: `"all"` terms of the batch, or the `"active"` ones, which are not 0.
        name: The loss's name in logs.
        reduction: Keras' `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B].

    Raises:
        ValueError: An argument is out of range, or, when saved, the function is not registered.
    """

    def __init__(
        self,
        margin: float,
        distance_metric: str | Callable[[Tensor], Tensor],
        mean_over: str,
        name: str,
        reduction: str | None,
    ) -> None:
        super().__init__(name, reduction)
        if not float(margin) >= 0.0:
            raise ValueError(f"margin must be 0 or more. Received: margin={margin!r}.")
        check_one_of(_MEANS, mean_over=mean_over)
        pairwise_distance(distance_metric)
        self.margin = float(margin)
        self.distance_metric = distance_metric
        self.mean_over = mean_over

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "margin": self.margin,
            "distance_metric": _serialize(self.distance_metric),
            "mean_over": self.mean_over,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DistanceLoss":
        """Makes the loss from what `get_config` returned."""
        metric = config["distance_metric"]
        if isinstance(metric, dict):
            metric = keras.saving.deserialize_keras_object(metric)
        return cls(**{**config, "distance_metric": metric})


def check_one_of(allowed: tuple[str, ...], **argument: str) -> None:
    """Raises ValueError if an argument, passed by its name, is none of the allowed words."""
    ((name, value),) = argument.items()
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}. Received: {name}={value!r}.")


def shares(sums: Tensor, counts: Tensor) -> Tensor:
    """Turns sums per anchor into values per sample whose mean is the mean over all terms.

    Args:
        sums: float [B], each anchor's sum of terms.
        counts: float [B], how many terms each anchor has.

    Returns:
        float [B]; zeros if there is no term at all.
    """
    num_samples = ops.cast(ops.shape(sums)[0], sums.dtype)
    return sums * (num_samples / ops.maximum(ops.sum(counts), 1.0))


def contrastive_cost(is_genuine: Tensor, distances: Tensor, margin: float) -> Tensor:
    """Returns `d^2` of genuine pairs and `max(margin - d, 0)^2` of impostor pairs.

    Args:
        is_genuine: float, any shape, 1 or 0.
        distances: float, the same shape.
        margin: Wanted distance of impostor pairs.
    """
    apart = ops.square(ops.relu(margin - distances))
    return is_genuine * ops.square(distances) + (1.0 - is_genuine) * apart


def _serialize(metric: str | Callable[[Tensor], Tensor]) -> str | dict[str, Any]:
    if isinstance(metric, str):
        return metric
    if keras.saving.get_registered_object(keras.saving.get_registered_name(metric)) is None:
        raise ValueError(
            "A loss can be saved only with a registered distance. Decorate the function with "
            f"@keras.saving.register_keras_serializable. Received: distance_metric={metric!r}."
        )
    return keras.saving.serialize_keras_object(metric)
