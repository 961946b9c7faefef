"""One batch of several data sets: each set's own batch, one after the other, with weights."""

from collections.abc import Sequence

import numpy as np

from facezoo.data.batches import Batch, TrainingBatches


class ConcatBatches:
    """Joins the batches of N data sets into one, as `ConcatHead` and `WithinSets` expect them.

    A batch is each set's own P x K batch, in the order of the sets. Labels count through, without
    gaps: people of set i that have pictures are numbered, in the order of their own labels, after
    those of set i - 1. The weight of a row of set i is `w_i * B / B_i`, so that Keras' mean over
    the B rows is the sum of `w_i` times the mean over set i's own B_i rows.

    Args:
        batches: One source of batches for each set, all with the same `preprocessing` and
            `augmentation`.
        names: Of the sets, all different.
        loss_weights: `w_i`, above 0; 1 / N each by default. They are not brought to a sum of 1.

    Attributes:
        batch_size: B, rows of all sets together.
        num_images: N, of all sets.
        num_classes: C, people of all sets.
        classes_per_set: People of each set: what its head has for `num_classes`.
        label: int32 [N], of every image, set after set.
        preprocessing: That of all sets.
        augmentation: That of all sets.
        seed: That of the first set; each set draws by its own.

    Raises:
        ValueError: Names or weights are not one per set or out of range, or the sets differ in
            `preprocessing` or `augmentation`.
    """

    def __init__(
        self,
        batches: Sequence[TrainingBatches],
        names: Sequence[str],
        loss_weights: Sequence[float] | None = None,
    ) -> None:
        self.batches, self.names = list(batches), [str(name) for name in names]
        if loss_weights is None:
            loss_weights = [1.0 / max(len(self.batches), 1)] * len(self.batches)
        self.loss_weights = [float(weight) for weight in loss_weights]
        self._check()
        first = self.batches[0]
        self.preprocessing, self.augmentation = first.preprocessing, first.augmentation
        self.seed = first.seed
        self._people = [np.unique(one.label) for one in self.batches]
        self.classes_per_set = [len(people) for people in self._people]
        self.num_classes = sum(self.classes_per_set)
        self.num_images = sum(one.num_images for one in self.batches)
        self.batch_size = sum(one.batch_size for one in self.batches)
        self._first_image = _starts(one.num_images for one in self.batches)
        self._first_class = _starts(self.classes_per_set)
        self._first_row = _starts(one.batch_size for one in self.batches)
        self.label = np.concatenate(
            [self._global(place, one.label) for place, one in enumerate(self.batches)]
        )

    def positions(self, step: int) -> np.ndarray:
        """Returns which images stand in batch `step`, int64 [B], numbers of `label`."""
        pairs = zip(self.batches, self._first_image, strict=True)
        return np.concatenate([first + one.positions(step) for one, first in pairs])

    def read(self, step: int, rows: np.ndarray | None = None) -> Batch:
        """Reads a batch, or some rows of it.

        Args:
            step: Number of the batch, from 0.
            rows: int [b], which rows to read, in any order; all by default.

        Raises:
            ValueError: A record is damaged.
        """
        rows = np.arange(self.batch_size) if rows is None else np.asarray(rows)
        owner = np.searchsorted(self._first_row, rows, side="right") - 1
        # A set without a row is asked all the same: its images decide the dtype, too.
        parts = [
            self._part(place, step, rows[owner == place]) for place in range(len(self.batches))
        ]
        # Row i of the answer stands where the stable sort by sets has put it.
        place = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
        return Batch(*(np.concatenate(column)[place] for column in zip(*parts, strict=True)))

    def _part(self, place: int, step: int, rows: np.ndarray) -> Batch:
        one = self.batches[place]
        batch = one.read(step, rows - self._first_row[place])
        factor = self.loss_weights[place] * self.batch_size / one.batch_size
        weight = np.ones(len(rows)) if batch.weight is None else batch.weight
        label = self._global(place, batch.label)
        return batch._replace(label=label, weight=(factor * weight).astype(np.float32))

    def _global(self, place: int, label: np.ndarray) -> np.ndarray:
        number = np.searchsorted(self._people[place], label)
        return (self._first_class[place] + number).astype(np.int32)

    def _check(self) -> None:
        counts = (len(self.batches), len(self.names), len(self.loss_weights))
        if len(set(counts)) > 1 or counts[0] == 0 or len(set(self.names)) < len(self.names):
            raise ValueError(
                "batches, names and loss_weights must be one for each data set, at least one, the "
                f"names all different. Received: {counts[0]} batches, names={self.names}, "
                f"loss_weights={self.loss_weights}."
            )
        if not all(0.0 < weight < float("inf") for weight in self.loss_weights):
            raise ValueError(f"loss_weights must be above 0. Received: {self.loss_weights}.")
        for name in ("preprocessing", "augmentation"):
            found = [getattr(one, name) for one in self.batches]
            if any(one != found[0] for one in found):
                raise ValueError(
                    f"All data sets of a batch need one {name}: they go through one network. "
                    f"Received: {dict(zip(self.names, found, strict=True))}."
                )


def _starts(sizes: Sequence[int]) -> np.ndarray:
    return np.cumsum([0, *sizes])[:-1]
