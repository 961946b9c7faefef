"""Batches of several sets: order, labels, weights, and any rows of them."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from facezoo.data.batches import Batch
from facezoo.data.concat_batches import ConcatBatches

# People with gaps between their numbers.
FIRST, SECOND = np.int32([3, 3, 7, 20, 20]), np.int32([0, 5, 5, 5])


@dataclass
class FakeBatches:
    """Image i of a set is all `base + i`; the batch of a step starts at image `step`."""

    label: np.ndarray
    batch_size: int
    base: int = 0
    dtype: str = "uint8"
    weight: float | None = None
    preprocessing: str = "112"
    augmentation: str = "flip"
    seed: int = 0
    asked: list = field(default_factory=list)

    @property
    def num_images(self):
        return len(self.label)

    def positions(self, step):
        return (step + np.arange(self.batch_size)) % self.num_images

    def read(self, step, rows=None):
        rows = np.arange(self.batch_size) if rows is None else rows
        self.asked.append(len(rows))
        positions = self.positions(step)[rows]
        image = np.zeros((len(rows), 2, 2, 3), self.dtype)
        image += (self.base + positions).astype(self.dtype)[:, None, None, None]
        draw = np.float32(rows)[:, None] * np.ones((1, 4), "float32")
        weight = None if self.weight is None else np.full(len(rows), self.weight, "float32")
        return Batch(image, self.label[positions], draw, weight)


def made(**options):
    sets = [FakeBatches(FIRST, 6), FakeBatches(SECOND, 4, base=100)]
    return ConcatBatches(sets, ["fiw", "celeba"], **options)


def test_sets_follow_each_other_and_labels_have_no_gaps():
    batches = made()
    assert (batches.batch_size, batches.num_images, batches.num_classes) == (10, 9, 5)
    assert batches.classes_per_set == [3, 2]
    assert batches.label.tolist() == [0, 0, 1, 2, 2, 3, 4, 4, 4]
    assert batches.label.dtype == np.int32
    batch = batches.read(step=1)
    assert batch.image[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 0, 1, 101, 102, 103, 100]
    assert batch.label.tolist() == [0, 1, 2, 2, 0, 0, 4, 4, 4, 3]
    assert batch.label.dtype == np.int32
    assert batch.draw[:, 0].tolist() == [*range(6), *range(4)]


def test_positions_are_those_of_the_joined_labels():
    batches = made()
    positions = batches.positions(3)
    np.testing.assert_array_equal(batches.label[positions], batches.read(3).label)
    assert positions.dtype == np.int64 and positions.tolist()[6:] == [8, 5, 6, 7]


def test_weights_make_the_mean_the_weighted_sum_of_the_means():
    batch = made(loss_weights=[0.3, 0.7]).read(0)
    loss = np.random.default_rng(0).random(10)
    wanted = 0.3 * loss[:6].mean() + 0.7 * loss[6:].mean()
    assert np.mean(batch.weight * loss) == pytest.approx(wanted, rel=1e-6)
    assert batch.weight.dtype == np.float32
    halves = made().read(0).weight
    assert np.mean(halves * loss) == pytest.approx(loss[:6].mean() / 2 + loss[6:].mean() / 2)


def test_weights_of_a_set_are_kept():
    sets = [FakeBatches(FIRST, 5, weight=2.0), FakeBatches(SECOND, 5)]
    weight = ConcatBatches(sets, ["a", "b"], [1.0, 1.0]).read(0).weight
    assert weight.tolist() == [4.0] * 5 + [2.0] * 5


@pytest.mark.parametrize("rows", [np.arange(1, 10, 2), [9, 0, 6, 5, 0], [2], []])
def test_any_rows_in_any_order(rows):
    rows = np.asarray(rows, int)
    batches = made(loss_weights=[1.0, 3.0])
    found, whole = batches.read(2, rows), batches.read(2)
    for part, all_rows in zip(found, whole, strict=True):
        np.testing.assert_array_equal(part, all_rows[rows])
    assert sum(one.asked[0] for one in batches.batches) == len(rows)


def test_the_kind_of_the_images_does_not_depend_on_the_rows():
    sets = [FakeBatches(FIRST, 6), FakeBatches(SECOND, 4, dtype="float32")]
    batches = ConcatBatches(sets, ["a", "b"])
    assert [batches.read(0, np.array([row])).image.dtype for row in (0, 9)] == ["float32"] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batches": []}, "must be one for each data set"),
        ({"names": ["a"]}, "must be one for each data set"),
        ({"names": ["a", "a"]}, "the names all different"),
        ({"loss_weights": [1.0]}, "must be one for each data set"),
        ({"loss_weights": [1.0, 0.0]}, r"loss_weights must be above 0. Received: \[1.0, 0.0\]"),
        (
            {"batches": [FakeBatches(FIRST, 2), FakeBatches(FIRST, 2, preprocessing="96")]},
            "need one preprocessing.*'a': '112', 'b': '96'",
        ),
        (
            {"batches": [FakeBatches(FIRST, 2), FakeBatches(FIRST, 2, augmentation="none")]},
            "need one augmentation",
        ),
    ],
)
def test_bad_arguments_raise(arguments, message):
    sets = {"batches": [FakeBatches(FIRST, 2), FakeBatches(SECOND, 2)], "names": ["a", "b"]}
    with pytest.raises(ValueError, match=message):
        ConcatBatches(**{**sets, **arguments})
