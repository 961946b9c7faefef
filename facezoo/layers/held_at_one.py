"""A constraint that keeps a weight at 1, for the gamma that ArcFace's networks do not train."""

import keras
from keras import ops

from facezoo.ops import Tensor


@keras.saving.register_keras_serializable("facezoo")
class HeldAtOne(keras.constraints.Constraint):
    """Puts a weight back to 1 after every update.

    The weight stays among the trainable ones, as it does in the published networks' state and in
    their count of parameters; a margin head's scale would be undone by a gamma that follows it.

    Returns:
        Ones in the shape of the weight.
    """

    def __call__(self, w: Tensor) -> Tensor:
        return ops.ones(w.shape, w.dtype)
