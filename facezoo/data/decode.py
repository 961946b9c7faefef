"""Encoded bytes to pixels inside a TensorFlow graph: the same function trains and serves."""

import tensorflow as tf

from facezoo.data.preprocessing import Preprocessing


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one JPEG or PNG.

    Args:
        encoded: string scalar.

    Returns:
        uint8 [H, W, 3], RGB.

    Numerics:
        `INTEGER_ACCURATE` is bit-exact with Pillow and simplejpeg; TensorFlow's default is not.
    """
    # decode_jpeg recognises PNG as well, and unlike decode_image has `dct_method`.
    image = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    image.set_shape([None, None, 3])
    return image


def decode_and_resize(encoded: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """Decodes one JPEG or PNG and brings it to the network's size.

    Returns:
        float32 [height, width, 3] in [0, 255], not yet standardised.
    """
    return resize(decode_image(encoded), preprocessing)


def resize(image: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """Resizes [..., H, W, 3] to the network's size, bilinear with antialiasing; float32."""
    size = (preprocessing.height, preprocessing.width)
    resized = tf.image.resize(image, size, method="bilinear", antialias=True)
    return tf.clip_by_value(resized, 0.0, 255.0)
