"""Convolution, batch normalisation, activation: the brick of every backbone."""

from typing import Any

import keras

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
        padding: `"same"` or `"valid"`.
        activation: `"relu"`, `"prelu"` (one slope per channel) or None.
        name: Prefix of the three layers' names.
        options: `use_bias` (default False), `use_batch_norm` (True), `epsilon` (1e-5),
            `depthwise` (False: an ordinary convolution; True ignores `filters`).

    Returns:
        float [B, h, w, filters].
    """
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
        epsilon = options.get("epsilon", 1e-5)
        x = keras.layers.BatchNormalization(epsilon=epsilon, momentum=0.9, name=f"{name}_bn")(x)
    if activation == "prelu":
        slope = keras.initializers.Constant(0.25)
        return keras.layers.PReLU(slope, shared_axes=[1, 2], name=f"{name}_prelu")(x)
    if activation is not None:
        x = keras.layers.Activation(activation, name=f"{name}_{activation}")(x)
    return x
