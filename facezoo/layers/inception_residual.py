"""The blocks of both Inception-ResNets: branches side by side, added to the map or halving it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from facezoo.layers.conv_bn import conv_bn
from facezoo.layers.inception import scale_width
from facezoo.layers.scaled_add import ScaledAdd
from facezoo.ops import Tensor

# The last strided window of the network fits from here on.
SMALLEST_SIDE = 75


class ConvRow(NamedTuple):
    """One convolution with batch normalisation and ReLU.

    Args:
        name: Its scope in the published code, such as `"0b_1x7"`.
        filters: Output channels at width 1.
        kernel_size: Rows and columns of the kernel.
        strides: Step in both directions.
        padding: `"same"` or `"valid"`.
    """

    name: str
    filters: int
    kernel_size: int | tuple[int, int]
    strides: int = 1
    padding: str = "same"


# One after another is a branch; branches side by side are a block.
Branch = Sequence[ConvRow]


class ResidualPlan(NamedTuple):
    """The blocks that tell the two Inception-ResNets apart.

    Args:
        block35: Branches of the first residual block.
        mixed_6a: Branches of the first reduction block, beside its max pooling.
        block17: Branches of the second residual block.
        mixed_7a: Branches of the second reduction block.
        block8: Branches of the third residual block.
    """

    block35: Sequence[Branch]
    mixed_6a: Sequence[Branch]
    block17: Sequence[Branch]
    mixed_7a: Sequence[Branch]
    block8: Sequence[Branch]


_STEM_BEFORE_POOL = (
    ConvRow("1a_3x3", 32, 3, 2, "valid"),
    ConvRow("2a_3x3", 32, 3, 1, "valid"),
    ConvRow("2b_3x3", 64, 3),
)
_STEM_AFTER_POOL = (ConvRow("3b_1x1", 80, 1), ConvRow("4a_3x3", 192, 3, 1, "valid"))


def conv_rows(x: Tensor, branch: Branch, prefix: str, width: float, **options: Any) -> Tensor:
    """Applies convolutions one after another.

    Args:
        x: float [B, H, W, C].
        branch: The convolutions; none hands `x` on.
        prefix: Put before the layers' names.
        width: Factor of all filters, above 0.
        options: Handed to `conv_bn`: `epsilon`, `scale`.

    Returns:
        float [B, h, w, filters of the last].

    Raises:
        ValueError: `width` is out of range.
    """
    if not width > 0:
        raise ValueError(f"width must be above 0; 1 is as published. Received: width={width!r}.")
    for row in branch:
        x = conv_bn(
            x,
            scale_width(row.filters, width),
            row.kernel_size,
            strides=row.strides,
            padding=row.padding,
            name=f"{prefix}conv2d_{row.name}",
            **options,
        )
    return x


def parallel_branches(
    x: Tensor,
    branches: Sequence[Branch],
    name: str,
    *,
    pooled: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """Applies branches side by side and joins them along the channels.

    Args:
        x: float [B, H, W, C].
        branches: Convolutions of each branch.
        name: Prefix of the layers' names.
        pooled: float [B, h, w, ..], the branch without a row of convolutions; joined last.
        options: Handed to `conv_rows`.

    Returns:
        float [B, h, w, sum of the branches].
    """
    joined = [
        conv_rows(x, branch, f"{name}_branch_{index}_", **options)
        for index, branch in enumerate(branches)
    ]
    if pooled is not None:
        joined.append(pooled)
    return keras.layers.Concatenate(name=f"{name}_concat")(joined)


def residual_block(
    x: Tensor,
    branches: Sequence[Branch],
    factor: float,
    *,
    activation: str | None = "relu",
    name: str,
    **options: Any,
) -> Tensor:
    """Adds to the map what the branches make of it: `relu(x + factor * up(branches(x)))`.

    Args:
        x: float [B, H, W, C].
        branches: Convolutions of each branch.
        factor: Of the residual.
        activation: Behind the sum, or None.
        name: Prefix of the layers' names.
        options: Handed to `conv_rows`.

    Returns:
        float [B, H, W, C].
    """
    residual = parallel_branches(x, branches, name, **options)
    # The only convolutions with a bias: neither normalisation nor activation follows.
    residual = conv_bn(
        residual,
        x.shape[-1],
        1,
        activation=None,
        use_bias=True,
        use_batch_norm=False,
        name=f"{name}_conv2d_1x1",
    )
    x = ScaledAdd(factor, name=f"{name}_add")([x, residual])
    if activation is None:
        return x
    return keras.layers.Activation(activation, name=f"{name}_{activation}")(x)


def reduction_block(x: Tensor, branches: Sequence[Branch], name: str, **options: Any) -> Tensor:
    """Halves the map: strided branches beside a max pooling.

    Args:
        x: float [B, H, W, C].
        branches: Convolutions of each branch, the last of each strided.
        name: Prefix of the layers' names.
        options: Handed to `conv_rows`.

    Returns:
        float [B, (H - 1) // 2, (W - 1) // 2, C + sum of the branches].
    """
    pooled = keras.layers.MaxPooling2D(3, 2, "valid", name=f"{name}_pool")(x)
    return parallel_branches(x, branches, name, pooled=pooled, **options)


def inception_stem(image: Tensor, **options: Any) -> Tensor:
    """Applies the first five convolutions, which both networks share.

    Args:
        image: float [B, H, W, 3].
        options: Handed to `conv_rows`.

    Returns:
        float [B, about H / 4, about W / 4, 192] at width 1.
    """
    x = conv_rows(image, _STEM_BEFORE_POOL, "", **options)
    x = keras.layers.MaxPooling2D(3, 2, "valid", name="maxpool_3a_3x3")(x)
    return conv_rows(x, _STEM_AFTER_POOL, "", **options)


def residual_stages(
    x: Tensor, plan: ResidualPlan, repeats: Sequence[int], **options: Any
) -> Tensor:
    """Applies the three residual stages, each a row of equal blocks, and the reductions between.

    Args:
        x: float [B, H, W, C].
        plan: The blocks.
        repeats: How often `block35`, `block17` and `block8` stand in a row. One more `block8`
            follows, at full scale and without activation.
        options: Handed to `conv_rows`.

    Returns:
        float [B, about H / 4, about W / 4, C plus what the reductions add].

    Raises:
        ValueError: `repeats` is not three whole numbers of at least 0.
    """
    if len(repeats) != 3 or any(not isinstance(times, int) or times < 0 for times in repeats):
        raise ValueError(
            "repeats must be three whole numbers of at least 0, for block35, block17 and block8. "
            f"Received: {tuple(repeats)}."
        )
    for index in range(repeats[0]):
        x = residual_block(x, plan.block35, 0.17, name=f"block35_{index + 1}", **options)
    x = reduction_block(x, plan.mixed_6a, "mixed_6a", **options)
    for index in range(repeats[1]):
        x = residual_block(x, plan.block17, 0.10, name=f"block17_{index + 1}", **options)
    x = reduction_block(x, plan.mixed_7a, "mixed_7a", **options)
    for index in range(repeats[2]):
        x = residual_block(x, plan.block8, 0.20, name=f"block8_{index + 1}", **options)
    name = f"block8_{repeats[2] + 1}"
    return residual_block(x, plan.block8, 1.0, activation=None, name=name, **options)
