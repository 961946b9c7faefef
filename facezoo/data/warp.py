"""Resampling of images along an affine map, by the same arithmetic on every back end."""

from keras import ops

from facezoo import shapes
from facezoo.ops import Tensor


def affine_warp(image: Tensor, mirror: Tensor, change: Tensor, shift: Tensor) -> Tensor:
    """Mirrors images, then takes every pixel from where it is displaced to; bilinear.

    With (x, y) the place of a pixel, seen from the middle of the mirrored image, the value comes
    from (x, y) + change @ (x, y) + shift. Outside, the border's pixels go on.

    Args:
        image: float32 [B, H, W, C].
        mirror: bool [B].
        change: float32 [B, 2, 2], what the map differs by from one that changes nothing.
        shift: float32 [B, 2], pixels.

    Returns:
        float32 [B, H, W, C].

    Numerics:
        Only the displacement is rounded, not the place: it is small, so that back ends agree in
        more digits than by `ops.image.affine_transform`, whose JAX form multiplies places by
        `einsum`, at half precision on a GPU.
    """
    _, height, width, channels = image.shape
    batch = ops.shape(image)[0]
    row = ops.arange(height, dtype=shapes.LABEL)[None, :, None]
    column = ops.arange(width, dtype=shapes.LABEL)[None, None, :]
    column = ops.where(mirror[:, None, None], width - 1 - column, column)
    x = ops.cast(column, shapes.FLOAT) - (width - 1) / 2
    y = ops.cast(row, shapes.FLOAT) - (height - 1) / 2
    # [B, 1, 1] each.
    xx, xy, yx, yy = ops.split(ops.reshape(change, (-1, 4, 1)), 4, axis=1)
    x_shift, y_shift = ops.split(shift[:, :, None], 2, axis=1)
    left, x_part = _split(xx * x + xy * y + x_shift)
    top, y_part = _split(yx * x + yy * y + y_shift)
    flat = ops.reshape(image, (-1, channels))
    first = ops.arange(batch, dtype=shapes.LABEL)[:, None, None] * (height * width)

    def take(down: int, right: int) -> Tensor:
        rows = first + ops.clip(row + top + down, 0, height - 1) * width
        return ops.take(flat, rows + ops.clip(column + left + right, 0, width - 1), axis=0)

    above = _between(take(0, 0), take(0, 1), x_part)
    below = _between(take(1, 0), take(1, 1), x_part)
    return _between(above, below, y_part)


def _split(displacement: Tensor) -> tuple[Tensor, Tensor]:
    """Whole pixels, int32, and the rest in [0, 1)."""
    whole = ops.floor(displacement)
    return ops.cast(whole, shapes.LABEL), (displacement - whole)[..., None]


def _between(near: Tensor, far: Tensor, part: Tensor) -> Tensor:
    return near + (far - near) * part
