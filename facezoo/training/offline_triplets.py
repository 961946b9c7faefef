"""Offline triplets: batches that the model of a moment has chosen among many images."""

import functools
from pathlib import Path

import numpy as np

from facezoo.data.batches import Batch, TrainingBatches
from facezoo.models import FaceModel
from facezoo.training.offline_mining import (
    OfflineMining,
    compile_forward,
    filenames,
    in_other_batches,
    mine_subset,
)
from facezoo.training.triplet_records import MinedTriplets, read_triplets, write_triplets


class OfflineTriplets:
    """`MinedBatches`: every so many steps a subset is embedded and its triplets are written down.

    A batch is T anchors, then their positives, then their negatives, as `GivenTripletsLoss` expects
    them. In a round longer than its file the triplets come again in the same order. Which images a
    round looks at depends on the seed and its number alone, which triplets it finds on the weights.
    The subset's embeddings are held in memory, its pictures are not.

    Args:
        batches: Where the images come from. Its seed, preprocessing and augmentation hold here,
            too; images are embedded without augmentation.
        folder: For the files, one for each round; shared by all machines.
        mining: How to mine.

    Attributes:
        batch_size: B = 3 T.
        part_size: T.
        num_images: N, of all the data.
        num_classes: The largest label and one more.
        label: int32 [N], of every image.
        round: Number of the open round, -1 for none.

    Source:
        FaceNet, arXiv 1503.03832, section 3.2 (triplets generated offline).
    """

    def __init__(self, batches: TrainingBatches, folder: Path, mining: OfflineMining) -> None:
        self.mining = mining
        self.batch_size, self.part_size = mining.batch_size, mining.triplets_per_batch
        self.steps_per_round = mining.steps_per_round
        self.num_images, self.num_classes = batches.num_images, batches.num_classes
        self.label = batches.label
        self.preprocessing, self.augmentation = batches.preprocessing, batches.augmentation
        self.seed = batches.seed
        self.round = -1
        self._batches, self._folder = batches, Path(folder)
        self._images = in_other_batches(batches, self._choose, self.batch_size)
        # Compiled once for all rounds.
        self._forward = functools.lru_cache(1)(compile_forward)
        # The open round, and the one before it.
        self._rounds: list[MinedTriplets] = []

    def mine(self, number: int, step: int, model: FaceModel, checkpoint: str) -> None:
        """Mines a round and writes it down.

        Args:
            number: Of the round, from 0.
            step: Steps done since the beginning.
            model: To mine with, in inference mode; it is left as it is.
            checkpoint: Name of the checkpoint that holds the same weights.

        Raises:
            ValueError: A record is damaged, or the subset has no triplet.
        """
        forward = self._forward(model)
        position, distance = mine_subset(self._batches, self.mining, number, forward)
        label, names = np.asarray(self.label[position]), self._filenames(position)
        mined = MinedTriplets(position, label, names, distance, checkpoint, step)
        write_triplets(self._path(number), mined)
        kept = {self._path(number - ago) for ago in range(self.mining.keep_rounds)}
        for path in set(self._folder.glob("round-*.tfrecord")) - kept:
            path.unlink()

    def open_round(self, number: int) -> None:
        """Takes up what `mine` has written, also after a kill.

        Raises:
            ValueError: The round's file is missing, damaged, or of other data.
        """
        path = self._path(number)
        mined = read_triplets(path)
        if not self._fits(mined):
            raise ValueError(
                f"The triplets {path} are of other images than these {self.num_images}. Train on "
                "the data that they were mined from, or delete the training's folder to start anew."
            )
        self._rounds = [*self._rounds[-1:], mined]
        self.round = number

    def positions(self, step: int) -> np.ndarray:
        """Returns which images stand in batch `step` of the open round, int64 [3 T]."""
        return self._images.positions(step)

    def read(self, step: int, rows: np.ndarray | None = None) -> Batch:
        """Reads a batch of the open round, or some rows of it; see `TrainingBatches`."""
        return self._images.read(step, rows)

    def logs(self, step: int) -> dict[str, float]:
        """Returns how old the triplets are and how hard they were when they were mined.

        Args:
            step: Number of the batch.

        Returns:
            `staleness`, steps since the mining; `mined_triplets`, how many; `mined_violation`,
            their mean of d_ap - d_an.

        Raises:
            ValueError: The round is not one of this step.
        """
        mined = self._rounds[-1]
        staleness = step - mined.step
        if not 0 <= staleness < self.steps_per_round:
            raise ValueError(
                f"{self._path(self.round)} is a round of another training. Expected: at most "
                f"{self.steps_per_round} steps old at step {step}. Received: mined at step "
                f"{mined.step}. Delete the training's folder to start anew."
            )
        violation = np.mean(mined.distance[:, 0] - mined.distance[:, 1])
        return {
            "staleness": float(staleness),
            "mined_triplets": float(len(mined.position)),
            "mined_violation": float(violation),
        }

    def _choose(self, step: int) -> np.ndarray:
        # A batch that has spoilt the training is written aside together with the one before it.
        fitting = (one for one in reversed(self._rounds) if one.step <= step)
        mined = next(fitting, self._rounds[-1])
        size, count = self.mining.triplets_per_batch, len(mined.position)
        rows = (np.arange(size) + (step - mined.step) * size) % count
        return mined.position[rows].T.ravel()

    def _filenames(self, position: np.ndarray) -> list[list[str]]:
        return filenames(self._batches.index, position)

    def _fits(self, mined: MinedTriplets) -> bool:
        position = mined.position
        if position.min() < 0 or position.max() >= self.num_images:
            return False
        # Three names, not all: to know one its whole record must be read.
        return (
            np.array_equal(self.label[position], mined.label)
            and self._filenames(position[:1]) == mined.filename[:1]
        )

    def _path(self, number: int) -> Path:
        return self._folder / f"round-{number:06d}.tfrecord"
