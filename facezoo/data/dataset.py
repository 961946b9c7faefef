"""TFRecord shards to batches of (image, label): in file order, or P identities x K images."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from facezoo import shapes
from facezoo.data import schema
from facezoo.data.augment import Augmentation
from facezoo.data.decode import decode_and_resize
from facezoo.data.examples import parse_example
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.records import index_records, read_record
from facezoo.data.sampling import IdentitySampler

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


class TrainingBatches:
    """Shards to an endless stream of augmented P x K batches, reproducible from any step on.

    Only an index (file, offset, label) of the records is kept in memory.

    Args:
        paths: TFRecord files with the keys of `facezoo.data.schema`.
        preprocessing: Size and standardisation of the images.
        augmentation: Changes to the images, drawn from `seed` and the step.
        num_identities: P, people per batch.
        images_per_identity: K, images of each.
        seed: Decides batches and augmentation.

    Raises:
        ValueError: The shards hold fewer than P people, or a file is damaged.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        preprocessing: Preprocessing,
        augmentation: Augmentation,
        *,
        num_identities: int,
        images_per_identity: int,
        seed: int,
    ) -> None:
        self._preprocessing = preprocessing
        self._augmentation = augmentation
        self._seed = seed
        self._places = [(path, offset) for path in paths for offset in index_records(path)]
        self.label = np.array([self._record(place).label for place in self._places], np.int32)
        self.sampler = IdentitySampler(self.label, num_identities, images_per_identity, seed)
        self.batch_size = num_identities * images_per_identity

    def dataset(self, first_step: int = 0) -> tf.data.Dataset:
        """Returns image float32 [B, H, W, 3], standardised, and label int32 [B], from a step on."""
        signature = (
            tf.TensorSpec((self.batch_size,), tf.string),
            tf.TensorSpec((self.batch_size,), shapes.LABEL),
            tf.TensorSpec((), tf.int32),
        )
        encoded = tf.data.Dataset.from_generator(
            lambda: self._encoded_batches(first_step), output_signature=signature
        )
        return encoded.map(self._decode, num_parallel_calls=2, deterministic=True).prefetch(2)

    def _encoded_batches(self, step: int) -> Iterator[tuple[list[bytes], np.ndarray, int]]:
        while True:
            chosen = self.sampler.batch(step)
            records = [self._record(self._places[index]) for index in chosen]
            yield [record.encoded for record in records], self.label[chosen], step
            step += 1

    def _decode(
        self, encoded: tf.Tensor, label: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.map_fn(
            lambda one: decode_and_resize(one, self._preprocessing),
            encoded,
            fn_output_signature=tf.TensorSpec(self._preprocessing.image_shape, tf.float32),
        )
        image = self._augmentation(image, tf.stack([self._seed, step]))
        return self._preprocessing.standardize(image), label

    def _record(self, place: tuple[Path, int]) -> schema.FaceRecord:
        return parse_example(read_record(*place))
