"""L2 pooling: the length of each window, FaceNet's third kind of pooling."""

from typing import Any, ClassVar

import keras
from keras import ops

from facezoo import registry
from facezoo.ops import Tensor

# Added below the root: cheaper on large maps than masking the zeros.
_EPSILON = 1e-12


@registry.register("layer")
@keras.saving.register_keras_serializable("facezoo")
class L2Pooling2D(keras.layers.Layer):
    """Square root of the sum of squares over each window.

    Args:
        pool_size: Rows and columns of the window, pixels.
        strides: Step, pixels.
        padding: `"same"` (zeros outside; they add nothing to the sum) or `"valid"`.

    Call:
        x: float [B, H, W, C].

    Returns:
        float [B, h, w, C].

    Raises:
        ValueError: `padding` is neither `"same"` nor `"valid"`.

    Numerics:
        Computed in float32: a half-precision square overflows at 256. The root is that of the sum
        plus 1e-12, so that the gradient in a window of zeros is 0; the length there is 1e-6.
        Average pooling with TensorFlow's SAME padding would leave the padding out of the mean, so
        the zeros are put there before a VALID pooling.

    Source:
        FaceNet, arXiv 1503.03832, table 2 ("L2" rows).
    """

    SOURCE: ClassVar[str] = "FaceNet, arXiv 1503.03832, table 2"
    TINY: ClassVar[dict[str, Any]] = {"pool_size": 3}

    def __init__(
        self, pool_size: int = 3, strides: int = 1, padding: str = "same", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if padding not in ("same", "valid"):
            raise ValueError(f'padding must be "same" or "valid". Received: {padding!r}.')
        self.pool_size = int(pool_size)
        self.strides = int(strides)
        self.padding = padding

    def call(self, x: Tensor) -> Tensor:
        squared = ops.square(ops.cast(x, "float32"))
        if self.padding == "same":
            rows, columns = (self._zeros(size) for size in x.shape[1:3])
            squared = ops.pad(squared, [(0, 0), rows, columns, (0, 0)])
        mean = ops.average_pool(squared, self.pool_size, self.strides, padding="valid")
        length = ops.sqrt(mean * self.pool_size**2 + _EPSILON)
        return ops.cast(length, self.compute_dtype)

    def _zeros(self, size: int) -> tuple[int, int]:
        steps = -(-size // self.strides)
        total = max((steps - 1) * self.strides + self.pool_size - size, 0)
        return total // 2, total - total // 2

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }
