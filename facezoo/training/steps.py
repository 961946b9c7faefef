"""One training step, on whatever back end and however many replicas."""

from collections.abc import Sequence
from typing import Any, Protocol

import keras

from facezoo.ops import Tensor
from facezoo.training.distribution import Distribution


class Steps(Protocol):
    """Takes the rows of this process, updates the model, returns the step's own logs."""

    def __call__(self, batch: Sequence[Tensor]) -> dict[str, float]:
        """Does one step."""


class KerasSteps:
    """Steps of a compiled model by Keras' own trainer: one device, any back end.

    Args:
        model: Compiled.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def __call__(self, batch: Sequence[Tensor]) -> dict[str, float]:
        self._model.reset_metrics()
        logs = self._model.train_on_batch(*batch, return_dict=True)
        return {name: float(value) for name, value in logs.items()}


class TensorFlowSteps:
    """Steps of a compiled model on one replica or many of `tf.distribute`.

    Keras' `fit` fails under `MultiWorkerMirroredStrategy` (keras-team/keras#20585); this does not.

    Args:
        model: Compiled within the distribution's scope.
        distribution: Where the replicas are.
    """

    def __init__(self, model: keras.Model, distribution: Distribution) -> None:
        import tensorflow as tf

        self._model = model
        self._distribution = distribution
        self._function = tf.function(self._on_all_replicas)

    def __call__(self, batch: Sequence[Tensor]) -> dict[str, float]:
        return self._distribution.mean(self._function(*self._distribution.split(batch)))

    def _on_all_replicas(self, *batch: Any) -> dict[str, Any]:
        return self._distribution.run(self._on_one_replica, batch)

    def _on_one_replica(self, *batch: Tensor) -> dict[str, Tensor]:
        self._model.reset_metrics()
        return self._model.train_step(batch)


def make_steps(model: keras.Model, distribution: Distribution, num_chunks: int = 1) -> Steps:
    """Returns the function that does a step.

    Args:
        model: Compiled within the distribution's scope.
        distribution: Where it is computed.
        num_chunks: Into how many pieces each replica's rows are cut to save memory; see
            `CachedSteps`.

    Raises:
        ValueError: The model, the back end or the number of chunks does not allow it.
    """
    if keras.backend.backend() != "tensorflow":
        if num_chunks > 1:
            raise ValueError(
                "Gradient caching needs the TensorFlow back end. Received: "
                f"num_chunks={num_chunks} and KERAS_BACKEND={keras.backend.backend()}."
            )
        return KerasSteps(model)
    if num_chunks > 1:
        from facezoo.training.gradient_cache import CachedSteps

        return CachedSteps(model, distribution, num_chunks)
    return TensorFlowSteps(model, distribution)
