"""The batches of a training, read from shards as NumPy arrays: the same on every back end."""

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from facezoo.data.draws import augmentation_draws
from facezoo.data.pixels import decode_stored, resize_like_graph
from facezoo.data.record_index import RecordIndex
from facezoo.data.sampling import IdentitySampler

if TYPE_CHECKING:  # Both need Keras, which reading does not.
    from facezoo.data.augment import Augmentation
    from facezoo.data.preprocessing import Preprocessing

# Images that a thread reads at a time: few enough to share a small batch out.
_IMAGES_PER_TASK = 8


class Batch(NamedTuple):
    """A batch, or some of its rows, before augmentation.

    Args:
        image: uint8 or float32 [B, H, W, 3] in [0, 255], of the network's size.
        label: int32 [B].
        draw: float32 [B, NUM_DRAWS] in [-1, 1), what augmentation goes by.
        weight: float32 [B] of the samples in the loss, or None for ones.
    """

    image: np.ndarray
    label: np.ndarray
    draw: np.ndarray
    weight: np.ndarray | None = None


class TrainingBatches:
    """Batches of P identities x K images and R negatives, read from shards in any order of steps.

    A batch depends on `seed` and its number alone; only the images that are asked for are read.

    Args:
        images: Index of the shards; or the shards, for which an index is made in a temporary
            folder at every start.
        preprocessing: Size of the images, and how `stream` standardises them.
        augmentation: Changes to the images, which `stream` makes.
        seed: Decides batches and augmentation, 0 or more.
        num_threads: That read and decode; by default as many as the machine has cores.
        sampling: What else `IdentitySampler` takes: `num_identities`, `images_per_identity`,
            `num_negatives`, `few_images`.

    Attributes:
        batch_size: B = P x K + R.
        num_images: N, of all the data.
        num_classes: The largest label and one more.
        label: int32 [N], of every image.

    Raises:
        ValueError: The data are too small for such a batch, or a file is damaged.
    """

    def __init__(
        self,
        images: RecordIndex | Sequence[Path],
        preprocessing: "Preprocessing",
        augmentation: "Augmentation",
        *,
        seed: int,
        num_threads: int | None = None,
        **sampling: Any,
    ) -> None:
        if not isinstance(images, RecordIndex):
            images = self._index_aside(images)
        self.index = images
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self.seed = seed
        self.sampler = IdentitySampler(images.groups, seed=seed, **sampling)
        self.batch_size = self.sampler.batch_size
        self.num_images = images.num_images
        self.num_classes = int(images.groups.identities[-1]) + 1
        self.label = images.label
        size = (preprocessing.height, preprocessing.width)
        self._dtype = np.uint8 if images.image_size == size else np.float32
        self._threads = ThreadPoolExecutor(num_threads or os.cpu_count(), "facezoo-read")

    def positions(self, step: int) -> np.ndarray:
        """Returns the numbers of the images of batch `step`, int64 [B]."""
        return self.sampler.batch(step)

    def read(self, step: int, rows: np.ndarray | None = None) -> Batch:
        """Reads a batch, or some rows of it.

        Args:
            step: Number of the batch, from 0.
            rows: int [b], which rows to read; all by default.

        Raises:
            ValueError: A record is damaged.
        """
        rows = np.arange(self.batch_size) if rows is None else np.asarray(rows)
        positions = self.positions(step)[rows]
        image = np.empty((len(rows), *self.preprocessing.image_shape), self._dtype)
        tasks = [
            self._threads.submit(self._fill, image[start : start + _IMAGES_PER_TASK], some)
            for start, some in _parts(positions)
        ]
        for task in tasks:
            task.result()
        draw = augmentation_draws(self.seed, step, self.batch_size)[rows]
        return Batch(image, np.asarray(self.label[positions]), draw)

    def _fill(self, image: np.ndarray, positions: np.ndarray) -> None:
        for row, position in enumerate(positions):
            image[row] = self._pixels(int(position))

    def _pixels(self, position: int) -> np.ndarray:
        record = self.index.read(position)
        try:
            pixels = decode_stored(record.encoded)
        except (ValueError, OSError) as error:
            raise ValueError(
                f"The picture {record.filename!r} at {self.index.place(position)} cannot be "
                f"decoded: {error}. Expected JPEG or PNG, 8 bits. Make the shards anew."
            ) from error
        size = (self.preprocessing.height, self.preprocessing.width)
        if pixels.shape[:2] != (record.height, record.width):
            raise ValueError(
                f"The picture {record.filename!r} at {self.index.place(position)} is not of the "
                f"size that its record says. Expected: {record.height} x {record.width}. "
                f"Received: {pixels.shape[0]} x {pixels.shape[1]}. Make the shards anew."
            )
        return pixels if pixels.shape[:2] == size else resize_like_graph(pixels, *size)

    def _index_aside(self, paths: Sequence[Path]) -> RecordIndex:
        # Kept as long as the batches are.
        self._folder = tempfile.TemporaryDirectory(prefix="facezoo-index-")
        return RecordIndex.build(paths, Path(self._folder.name, "index"))


def _parts(positions: np.ndarray) -> list[tuple[int, np.ndarray]]:
    starts = range(0, len(positions), _IMAGES_PER_TASK)
    return [(start, positions[start : start + _IMAGES_PER_TASK]) for start in starts]
