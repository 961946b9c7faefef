"""A stranger's bytes to pixels inside a TensorFlow graph: what is no picture harms nobody else."""

from collections.abc import Callable, Sequence
from typing import Final

import tensorflow as tf

from facezoo.data.decode import decode_image
from facezoo.data.images import MAX_PIXELS
from facezoo.data.upright import PNG_SIGNATURE, orientation, turn_upright

_JPEG_SIGNATURE: Final = b"\xff\xd8\xff"
# Threads of TensorFlow's own pool are shared: more pictures than this at a time only take memory.
_NUM_PARALLEL: Final = 16


def decode_upright(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one JPEG or PNG as it was meant to be seen: the pixels that training's records hold.

    Args:
        encoded: string scalar.

    Returns:
        uint8 [H, W, 3], RGB. CMYK, grey, palettes, alpha (dropped), 16 bits (the high byte) and
        the EXIF orientation are taken as `images.normalize` takes them.

    Raises:
        tf.errors.InvalidArgumentError: The bytes are no JPEG or PNG, damaged, or have more pixels
            than `images.MAX_PIXELS`, of which none is decoded then. WebP, BMP, GIF and PGM/PPM,
            which `images.normalize` converts, are no exception: TensorFlow's pixels differ.
    """
    is_jpeg, is_png = (
        tf.strings.substr(encoded, 0, len(one)) == one for one in (_JPEG_SIGNATURE, PNG_SIGNATURE)
    )
    with tf.control_dependencies([tf.debugging.Assert(is_jpeg | is_png, ["no JPEG or PNG"])]):
        height, width = tf.cond(is_png, lambda: _png_size(encoded), lambda: _jpeg_size(encoded))
    is_small = height * width <= MAX_PIXELS
    with tf.control_dependencies([tf.debugging.Assert(is_small, ["too many pixels"])]):
        return turn_upright(decode_image(encoded), orientation(encoded))


def _png_size(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.uint8), tf.int64)
    digits = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    return tf.reduce_sum(header[4:] * digits), tf.reduce_sum(header[:4] * digits)


def _jpeg_size(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(encoded, tf.int32))
    return tf.cast(height, tf.int64), tf.cast(width, tf.int64)


def map_valid(
    function: Callable[..., tf.Tensor], rows: Sequence[tf.Tensor], output: tf.TensorSpec
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies a function to every row, in parallel; a row where it raises fails alone.

    Args:
        function: One row of each tensor to a tensor like `output`.
        rows: [N, ...] each; N may be 0.
        output: Of one row, of fixed shape.

    Returns:
        (values [N, *output.shape], zeros where it raised; valid bool [N]).

    Example:
        >>> root = lambda x: tf.debugging.check_numerics(tf.sqrt(x), "no root")
        >>> values, valid = map_valid(root, [tf.constant([4.0, -1.0])], tf.TensorSpec([]))
        >>> values.numpy().tolist(), valid.numpy().tolist()
        ([2.0, 0.0], [True, False])
    """
    num_rows = tf.shape(rows[0])[0]
    # TensorFlow has no `try`: a dataset that passes over errors is the one thing that comes near.
    dataset = tf.data.Dataset.from_tensor_slices((tf.range(num_rows), *rows))
    dataset = dataset.map(
        lambda row, *values: (row, function(*values)), _NUM_PARALLEL, deterministic=True
    )
    # A batch of none is an error: one more row, which is cut off below.
    last = tf.data.Dataset.from_tensors((num_rows, tf.zeros(output.shape, output.dtype)))
    dataset = dataset.ignore_errors().concatenate(last).batch(tf.cast(num_rows + 1, tf.int64))
    dataset = dataset.with_options(_immediate())
    row, values = dataset.get_single_element()
    values = tf.scatter_nd(row[:, None], values, [num_rows + 1, *output.shape])[:-1]
    valid = tf.scatter_nd(row[:, None], tf.ones_like(row), [num_rows + 1])[:-1]
    return values, tf.cast(valid, tf.bool)


def _immediate() -> tf.data.Options:
    """No optimisation that would take longer than the one batch."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return options
