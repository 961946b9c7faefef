"""Convolution, batch normalisation, activation: the brick of every backbone."""

from typing import Any

import keras

from facezoo.layers.held_at_one import HeldAtOne
from facezoo.ops import Tensor


def conv_bn(
    x: Tensor,
    filters: int,
    kernel_size: int | tuple[int, int],
    *,
    strides: int = 1,
    padding: str = "same",
    activation: str | None = "relu",
    name: str,
    **options: Any,
) -> Tensor:
    """Applies convolution, batch normalisation and activation.

    Args:
        x: float [B, H, W, C].
        filters: Output channels.
        kernel_size: Rows and columns of the kernel.
        strides: Step in both directions.
        padding: `"same"`, `"valid"` or `"symmetric"`. TensorFlow's `"same"` puts the odd zero of a
            strided convolution at the bottom and right, `"symmetric"` (PyTorch, MXNet) puts
            `kernel_size // 2` zeros on every side: other numbers from the same weights.
        activation: `"relu"`, `"prelu"` (one slope per channel) or None.
        name: Prefix of the three layers' names.
        options: `use_bias` (default False), `use_batch_norm` (True), `epsilon` (1e-5), `scale`
            (True: batch normalisation has gamma beside beta), `depthwise` (False: an ordinary
            convolution; True ignores `filters`).

    Returns:
        float [B, h, w, filters].
    """
    if padding == "symmetric":
        x, padding = _pad_symmetrically(x, kernel_size, strides, name)
    shared = {
        "strides": strides,
        "padding": padding,
        "use_bias": options.get("use_bias", False),
        "name": f"{name}_conv",
    }
    if options.get("depthwise", False):
        conv = keras.layers.DepthwiseConv2D(
            kernel_size, depthwise_initializer="he_normal", **shared
        )
    else:
        conv = keras.layers.Conv2D(filters, kernel_size, kernel_initializer="he_normal", **shared)
    x = conv(x)
    if options.get("use_batch_norm", True):
        x = batch_norm(options.get("epsilon", 1e-5), options.get("scale", True), f"{name}_bn")(x)
    if activation == "prelu":
        slope = keras.initializers.Constant(0.25)
        return keras.layers.PReLU(slope, shared_axes=[1, 2], name=f"{name}_prelu")(x)
    if activation is not None:
        x = keras.layers.Activation(activation, name=f"{name}_{activation}")(x)
    return x


def batch_norm(
    epsilon: float, scale: bool | str, name: str, dtype: str | None = None
) -> keras.layers.Layer:
    """Returns the zoo's batch normalisation.

    Args:
        epsilon: Added to the variance.
        scale: Whether there is a gamma beside beta; `"fixed"` for one that is held at 1.
        name: Of the layer.
        dtype: Policy; None for the one in force.
    """
    return keras.layers.BatchNormalization(
        epsilon=epsilon,
        momentum=0.9,
        scale=bool(scale),
        gamma_constraint=HeldAtOne() if scale == "fixed" else None,
        name=name,
        dtype=dtype,
    )


def _pad_symmetrically(
    x: Tensor, kernel_size: int | tuple[int, int], strides: int, name: str
) -> tuple[Tensor, str]:
    rows, columns = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    if rows == columns == 1:
        return x, "valid"
    if strides == 1 and rows % 2 == columns % 2 == 1:
        return x, "same"  # The same zeros, without a layer of their own.
    padded = keras.layers.ZeroPadding2D((rows // 2, columns // 2), name=f"{name}_pad")(x)
    return padded, "valid"
