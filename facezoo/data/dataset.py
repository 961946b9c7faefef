"""TFRecord shards to batches of (image, label) in file order: what measuring reads."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from facezoo import shapes
from facezoo.data import schema
from facezoo.data.decode import decode_and_resize
from facezoo.data.preprocessing import Preprocessing

_FEATURES = {
    schema.IMAGE_ENCODED: tf.io.FixedLenFeature((), tf.string),
    schema.IDENTITY_LABEL: tf.io.FixedLenFeature((), tf.int64),
}


def image_dataset(
    paths: Sequence[Path], preprocessing: Preprocessing, batch_size: int
) -> tf.data.Dataset:
    """Reads shards in file order, without augmentation; the last batch may be smaller.

    Args:
        paths: TFRecord files with the keys of `facezoo.data.schema`.
        preprocessing: Size and standardisation of the images.
        batch_size: Images per batch.

    Returns:
        Batches of image float32 [B, H, W, 3], standardised, and label int32 [B].
    """

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.io.parse_single_example(serialized, _FEATURES)
        image = decode_and_resize(features[schema.IMAGE_ENCODED], preprocessing)
        label = tf.cast(features[schema.IDENTITY_LABEL], shapes.LABEL)
        return preprocessing.standardize(image), label

    records = tf.data.TFRecordDataset([str(path) for path in paths])
    return records.map(parse, tf.data.AUTOTUNE).batch(batch_size).prefetch(2)
