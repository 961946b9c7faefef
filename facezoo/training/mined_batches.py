"""What the loop asks of batches that the model itself mines from time to time."""

from typing import Protocol, runtime_checkable

import numpy as np

from facezoo.data.batches import Batch
from facezoo.models import FaceModel


@runtime_checkable
class MinedBatches(Protocol):
    """Batches in rounds: mined with the model of a moment, then trained on for some steps.

    Attributes:
        batch_size: Rows of a batch.
        part_size: Rows of each of its parts, such as the anchors; replicas take equally many.
        num_images: Of the training set, for the length of an epoch.
        steps_per_round: Steps from one mining to the next.
        round: Number of the round that is open, -1 for none.
    """

    batch_size: int
    part_size: int
    num_images: int
    steps_per_round: int
    round: int

    def mine(self, number: int, step: int, model: FaceModel, checkpoint: str) -> None:
        """Mines a round and writes it down; on the chief only.

        Args:
            number: Of the round, from 0 in its stage.
            step: Steps done since the beginning; the first batch of the round is that of `step`.
            model: To mine with.
            checkpoint: Name of the checkpoint that holds the same weights.
        """

    def open_round(self, number: int) -> None:
        """Takes up what `mine` has written, also after a kill."""

    def read(self, step: int, rows: np.ndarray | None = None) -> Batch:
        """Reads a batch of the open round; see `TrainingBatches`."""

    def logs(self, step: int) -> dict[str, float]:
        """Returns what belongs to the logs of a step, such as the age of the triplets."""
