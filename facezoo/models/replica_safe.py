"""A Keras model that refuses what several replicas would compute wrongly, or not at all."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from facezoo.contracts import EmbeddingLoss

# Of labels and outputs that a loss is tried on.
_SHAPE = (4, 8)


def refuse_inexact(loss: Any, num_replicas: int, steps_per_execution: int) -> None:
    """Checks how a model is to be trained.

    Args:
        loss: What `compile` takes: a loss, a function, a name or None.
        num_replicas: Replicas of `tf.distribute`.
        steps_per_execution: Steps that one call of TensorFlow does.

    Raises:
        ValueError: Several steps per execution, or a loss that returns one number, on more than
            one replica.
    """
    if num_replicas < 2:
        return
    if steps_per_execution != 1:
        raise ValueError(
            f"steps_per_execution must be 1 on {num_replicas} replicas: more fail inside "
            f"TensorFlow. Received: steps_per_execution={steps_per_execution}."
        )
    if _is_scaled(loss):
        raise ValueError(
            f"The loss returns one number, and the update would be that of {num_replicas} such "
            f"losses: Keras adds the replicas' gradients up. Received: {loss!r}. Either return a "
            "value for each of the replica's own samples [B], of the whole batch if pairs matter "
            "(`facezoo.replicas.gather_batch`, as every EmbeddingLoss does), and leave the mean "
            "to Keras; or return this replica's share, the sum over its own samples divided by "
            "the number in the whole batch, and set `returns_share = True` on the loss."
        )


def _is_scaled(loss: Any) -> bool:
    if loss is None or isinstance(loss, EmbeddingLoss) or getattr(loss, "returns_share", False):
        return False
    function: Callable = keras.losses.get(loss)
    function = getattr(function, "call", function)
    label, output = np.zeros(_SHAPE[0], np.int32), np.full(_SHAPE, 0.5, np.float32)
    try:
        return keras.ops.ndim(function(label, output)) == 0
    except (TypeError, ValueError):
        # A loss for something else than labels: training will say so.
        return False


class ReplicaSafeModel(keras.Model):
    """Refuses to train on several replicas of `tf.distribute` what would not be exact.

    `compile` itself stays Keras' own: a model that overrides it is not compiled when it is loaded.
    """

    def check_replicas(self) -> None:
        """Checks what the model was compiled with.

        Raises:
            ValueError: See `refuse_inexact`.
        """
        strategy = getattr(self, "distribute_strategy", None)
        num_replicas = getattr(strategy, "num_replicas_in_sync", 1)
        refuse_inexact(self.loss, num_replicas, self.steps_per_execution)

    def make_train_function(self, force: bool = False) -> Callable | None:
        """Makes the function that `fit` and `train_on_batch` call, as Keras does.

        Args:
            force: As in Keras.

        Raises:
            ValueError: See `refuse_inexact`.
        """
        self.check_replicas()
        return super().make_train_function(force)
