"""The Inception block of FaceNet: four branches side by side, joined along the channels."""

from typing import Any, NamedTuple

import keras

from facezoo.layers.conv_bn import conv_bn
from facezoo.layers.l2_pooling import L2Pooling2D
from facezoo.ops import Tensor


class InceptionRow(NamedTuple):
    """One row of FaceNet's table 2; 0 leaves a branch out.

    Args:
        name: Row label, such as `"3a"`.
        conv1: Filters of the 1x1 branch.
        reduce3: 1x1 filters in front of the 3x3.
        conv3: Filters of the 3x3 branch.
        reduce5: 1x1 filters in front of the 5x5.
        conv5: Filters of the 5x5 branch.
        pool: `"max"` or `"l2"`, 3x3.
        project: 1x1 filters behind the pooling; 0 hands the pooled map on as it is.
        strides: 2 halves the map (and needs `conv1` = 0).
    """

    name: str
    conv1: int
    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    pool: str
    project: int
    strides: int = 1

    def scaled(self, width: float) -> "InceptionRow":
        """Returns the row with every branch `width` times as wide."""
        filters = ("conv1", "reduce3", "conv3", "reduce5", "conv5", "project")
        return self._replace(**{name: scale_width(getattr(self, name), width) for name in filters})


def scale_width(filters: int, width: float) -> int:
    """Returns `width * filters`, rounded to a multiple of 4, at least 4; 0 and width 1 stay."""
    if width == 1 or filters == 0:
        return filters
    return max(4, 4 * round(width * filters / 4))


def inception_block(x: Tensor, row: InceptionRow, l2_pool_padding: str, **options: Any) -> Tensor:
    """Applies one Inception block.

    Args:
        x: float [B, H, W, C].
        row: Widths of the branches.
        l2_pool_padding: Border rule of the L2 pooling branch. `"same"`: zeros around the map.
            `"openface"`: VALID pooling, projection, then zeros around the result, as Torch's
            depth-concatenation does; the border of that branch is exactly 0.
        options: Handed to `conv_bn`: `use_bias`, `use_batch_norm`, `epsilon`.

    Returns:
        float [B, H / strides, W / strides, sum of the branches].
    """
    name = f"inception_{row.name}"
    branches = []
    if row.conv1:
        branches.append(conv_bn(x, row.conv1, 1, name=f"{name}_1x1", **options))
    for size, reduce, filters in ((3, row.reduce3, row.conv3), (5, row.reduce5, row.conv5)):
        if filters:
            y = conv_bn(x, reduce, 1, name=f"{name}_{size}x{size}_reduce", **options)
            y = conv_bn(
                y, filters, size, strides=row.strides, name=f"{name}_{size}x{size}", **options
            )
            branches.append(y)
    branches.append(_pool_branch(x, row, l2_pool_padding, **options))
    return keras.layers.Concatenate(name=f"{name}_concat")(branches)


def _pool_branch(x: Tensor, row: InceptionRow, l2_pool_padding: str, **options: Any) -> Tensor:
    name = f"inception_{row.name}_pool"
    openface = row.pool == "l2" and l2_pool_padding == "openface"
    if row.pool == "l2":
        padding = "valid" if openface else "same"
        x = L2Pooling2D(3, row.strides, padding, name=name)(x)
    else:
        x = keras.layers.MaxPooling2D(3, row.strides, "same", name=name)(x)
    if row.project:
        x = conv_bn(x, row.project, 1, name=f"{name}_project", **options)
    if openface:
        x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return x
