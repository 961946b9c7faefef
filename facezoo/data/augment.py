"""Random changes to training images: one affine warp, light and contrast."""

from dataclasses import dataclass

from keras import ops

from facezoo import shapes
from facezoo.data.warp import affine_warp
from facezoo.ops import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How much a training image may be changed; zeros change nothing.

    Args:
        flip: Whether to mirror left and right, half of the time.
        rotation: Largest angle, radians.
        zoom: Largest relative change of size, 0.1 for 10 %.
        shift: Largest shift as a part of height and width.
        brightness: Largest change of light, in units of the pixel range 0 to 1.
        contrast: Largest relative change of contrast.
        erase: Largest side of a rectangle that is blanked, as a part of height and width.

    Raises:
        ValueError: A value is negative, or so large that nothing of the image would be left.
    """

    flip: bool = True
    rotation: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rotation", "zoom", "shift", "brightness", "contrast", "erase"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} must be in [0, 1). Received: {getattr(self, name)}.")

    def __call__(self, image: Tensor, draw: Tensor) -> Tensor:
        """Changes a batch, every image in its own way.

        Args:
            image: uint8 or float32 [B, H, W, 3] in [0, 255]; H and W are known.
            draw: float32 [B, NUM_DRAWS] in [-1, 1); equal numbers give equal changes.

        Returns:
            float32 [B, H, W, 3] in [0, 255].
        """
        image = self._warp(ops.cast(image, shapes.FLOAT), draw[:, :5])
        image = self._relight(image, draw[:, 5:7])
        return self._blank(image, draw[:, 7:11])

    def _warp(self, image: Tensor, draw: Tensor) -> Tensor:
        if not (self.flip or self.rotation or self.zoom or self.shift):
            return image
        _, height, width, _ = image.shape
        mirror = (draw[:, 0] < 0.0) & self.flip
        angle, growth = self.rotation * draw[:, 1], self.zoom * draw[:, 2]
        size, half = 1.0 + growth, ops.sin(0.5 * angle)
        # size * cos(angle) - 1, without the difference of two numbers near 1.
        along, across = growth - 2.0 * half * half * size, ops.sin(angle) * size
        change = [ops.stack([along, -across], axis=1), ops.stack([across, along], axis=1)]
        move = [self.shift * width * draw[:, 3], self.shift * height * draw[:, 4]]
        return affine_warp(image, mirror, ops.stack(change, axis=1), ops.stack(move, axis=1))

    def _relight(self, image: Tensor, draw: Tensor) -> Tensor:
        if not (self.brightness or self.contrast):
            return image
        light, contrast = (draw[:, None, None, None, column] for column in (0, 1))
        mean = _mean(image)
        image = mean + (image - mean) * (1.0 + self.contrast * contrast)
        return ops.clip(image + 255.0 * self.brightness * light, 0.0, 255.0)

    def _blank(self, image: Tensor, draw: Tensor) -> Tensor:
        if self.erase == 0.0:
            return image
        _, height, width, _ = image.shape
        rows = self._inside(height, draw[:, 0], draw[:, 1])
        columns = self._inside(width, draw[:, 2], draw[:, 3])
        hidden = rows[:, :, None, None] & columns[:, None, :, None]
        return ops.where(hidden, _mean(image), image)

    def _inside(self, size: int, centre: Tensor, extent: Tensor) -> Tensor:
        place = ops.linspace(-1.0, 1.0, size, dtype=shapes.FLOAT)[None, :]
        return ops.abs(place - centre[:, None]) < self.erase * ops.abs(extent)[:, None]


def _mean(image: Tensor) -> Tensor:
    # Around the middle of the range: a sum of so many positive numbers loses digits.
    return 127.5 + ops.mean(image - 127.5, axis=(1, 2, 3), keepdims=True)
