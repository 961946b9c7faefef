"""Random changes to training images: one affine warp, light and contrast."""

from dataclasses import dataclass

import tensorflow as tf


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

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Changes a batch, every image in its own way.

        Args:
            image: float32 [B, H, W, 3] in [0, 255].
            seed: int32 [2]; equal seeds give equal changes.

        Returns:
            float32 [B, H, W, 3] in [0, 255].
        """
        draws = _draws(tf.shape(image)[0], seed)
        image = self._warp(image, draws[:, :5])
        image = self._relight(image, draws[:, 5:7])
        return self._blank(image, draws[:, 7:11])

    def _warp(self, image: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        height, width = (tf.cast(size, tf.float32) for size in tf.unstack(tf.shape(image)[1:3]))
        mirror = tf.where(draw[:, 0] < 0.0, -1.0, 1.0) if self.flip else tf.ones_like(draw[:, 0])
        angle, size = self.rotation * draw[:, 1], 1.0 + self.zoom * draw[:, 2]
        cosine, sine = tf.cos(angle) * size, tf.sin(angle) * size
        # From output to input coordinates, around the middle of the image.
        middle_x, middle_y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
        a, b, c, d = cosine * mirror, -sine, sine * mirror, cosine
        move_x = middle_x - a * middle_x - b * middle_y + self.shift * width * draw[:, 3]
        move_y = middle_y - c * middle_x - d * middle_y + self.shift * height * draw[:, 4]
        zero = tf.zeros_like(a)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=image,
            transforms=tf.stack([a, b, move_x, c, d, move_y, zero, zero], axis=1),
            output_shape=tf.shape(image)[1:3],
            interpolation="BILINEAR",
            fill_mode="NEAREST",
            fill_value=0.0,
        )

    def _relight(self, image: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        light, contrast = (draw[:, None, None, None, column] for column in (0, 1))
        mean = tf.reduce_mean(image, axis=(1, 2, 3), keepdims=True)
        image = mean + (image - mean) * (1.0 + self.contrast * contrast)
        return tf.clip_by_value(image + 255.0 * self.brightness * light, 0.0, 255.0)

    def _blank(self, image: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        if self.erase == 0.0:
            return image
        rows = self._inside(tf.shape(image)[1], draw[:, 0], draw[:, 1])
        columns = self._inside(tf.shape(image)[2], draw[:, 2], draw[:, 3])
        hidden = rows[:, :, None, None] & columns[:, None, :, None]
        mean = tf.reduce_mean(image, axis=(1, 2, 3), keepdims=True)
        return tf.where(hidden, mean, image)

    def _inside(self, size: tf.Tensor, centre: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
        place = tf.linspace(-1.0, 1.0, size)[None, :]
        return tf.abs(place - centre[:, None]) < self.erase * tf.abs(extent)[:, None]


def _draws(batch: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Uniform numbers in [-1, 1), eleven for each image."""
    return tf.random.stateless_uniform((batch, 11), seed, minval=-1.0, maxval=1.0)
