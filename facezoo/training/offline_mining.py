"""Offline mining: a subset of the images to the triplets that a model finds hardest in it."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import keras
import numpy as np
from keras import ops

from facezoo import shapes
from facezoo.data.batches import TrainingBatches
from facezoo.data.identity_groups import IdentityGroups
from facezoo.data.record_index import RecordIndex
from facezoo.mining import mine_triplets
from facezoo.models import FaceModel
from facezoo.ops import Tensor

# What sets these random numbers apart from those of `facezoo.data.draws`, which are 0 to 2.
_SUBSET: Final = 3
_ORDER_OF_TRIPLETS: Final = 4
# Images that are embedded at once.
_AT_ONCE: Final = 64

Forward = Callable[[Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True)
class OfflineMining:
    """How triplets are mined offline, and how they are dealt out.

    Args:
        steps_per_round: Steps from one mining to the next, n in FaceNet's "every n steps".
        triplets_per_batch: T; a multiple of the number of replicas.
        num_people: Whom a round looks at, drawn anew for each; all, if there are not so many.
        images_per_identity: Of each of them at most so many images are looked at.
        negatives: `"hardest"` or `"semi-hard"`; see `mine_triplets`.
        keep_rounds: Rounds whose files are kept: 2 or more, so that the older one of two
            checkpoints finds its round.

    Raises:
        ValueError: A value is out of range.
    """

    steps_per_round: int = 100
    triplets_per_batch: int = 12
    num_people: int = 200
    images_per_identity: int = 10
    negatives: str = "hardest"
    keep_rounds: int = 2

    def __post_init__(self) -> None:
        for name, least in (
            ("steps_per_round", 1),
            ("triplets_per_batch", 1),
            ("num_people", 2),
            ("images_per_identity", 2),
            ("keep_rounds", 2),
        ):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be {least} or more. Received: {getattr(self, name)}."
                )
        # Refuses an unknown name now instead of when all stages before are done.
        mine_triplets(np.empty((0, 1)), np.empty(0), negatives=self.negatives)

    @property
    def batch_size(self) -> int:
        """B = 3 T, rows of a batch."""
        return 3 * self.triplets_per_batch


class _Sampler(NamedTuple):
    """What `TrainingBatches` asks of its sampler."""

    batch: Callable[[int], np.ndarray]
    batch_size: int


def in_other_batches(
    batches: TrainingBatches, choose: Callable[[int], np.ndarray], batch_size: int
) -> TrainingBatches:
    """Returns the same images, read by the same threads, in other batches.

    Args:
        batches: Whose images, preprocessing, augmentation and seed.
        choose: Returns the images of a batch by its number, int64 [B].
        batch_size: B.
    """
    others = copy.copy(batches)
    others.sampler, others.batch_size = _Sampler(choose, batch_size), batch_size
    return others


def filenames(index: RecordIndex, position: np.ndarray) -> list[list[str]]:
    """Returns the names of images [T, 3], each of which is read once."""
    name = {one: index.read(one).filename for one in np.unique(position).tolist()}
    return [[name[one] for one in row] for row in position.tolist()]


class Found(NamedTuple):
    """T triplets of a subset.

    Args:
        position: int64 [T, 3], the images' numbers in the index: anchor, positive, negative.
        distance: float32 [T, 2], squared L2 from the anchor to the other two.
    """

    position: np.ndarray
    distance: np.ndarray


def compile_forward(model: FaceModel) -> Forward:
    """Returns what embeds a batch in inference mode and leaves no trace in the model."""
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    import tensorflow as tf

    # Keras' own would wait for all machines, of which one alone mines.
    return tf.function(lambda image: model(image, training=False), autograph=False)


def mine_subset(
    batches: TrainingBatches, mining: OfflineMining, number: int, forward: Forward
) -> Found:
    """Embeds some images, without augmentation, and finds their triplets.

    Args:
        batches: Where the images come from.
        mining: How many, and which triplets.
        number: Of the round; it decides, with the seed of the batches, on images and order.
        forward: Of `compile_forward`.

    Returns:
        One triplet for every image that has a positive and a negative, in random order.

    Raises:
        ValueError: A record is damaged, or there is no triplet.
    """
    rng = np.random.default_rng((batches.seed, _SUBSET, number))
    images = _subset(batches.index.groups, mining.num_people, mining.images_per_identity, rng)
    embedding, label = _embed(forward, batches, images), batches.label[images]
    triplets = mine_triplets(embedding, label, negatives=mining.negatives)
    if not len(triplets):
        raise ValueError(
            "Offline triplets need two people, one of them with two images. Received: "
            f"{len(images)} images of {len(np.unique(label))} people, no triplet among them. "
            f"Raise num_people={mining.num_people}, or leave the stage out."
        )
    rng = np.random.default_rng((batches.seed, _ORDER_OF_TRIPLETS, number))
    triplets = rng.permutation(triplets)
    return Found(images[triplets], _distances(embedding, triplets))


def _subset(
    groups: IdentityGroups, num_people: int, images_per_identity: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws people and some images of each, in rising order: that of the files."""
    total = groups.num_identities
    people = rng.choice(total, min(num_people, total), replace=False)
    drawn = []
    for person in people:
        images = groups.images(person)
        drawn.append(rng.choice(images, min(len(images), images_per_identity), replace=False))
    return np.sort(np.concatenate(drawn))


def _embed(forward: Forward, batches: TrainingBatches, images: np.ndarray) -> np.ndarray:
    """Returns the images' embeddings, float32 [N, D]."""
    count = len(images)
    size = min(_AT_ONCE, count)
    # Full to the last: what is compiled for a shape is so once.
    parts = in_other_batches(
        batches, lambda part: images[np.arange(part * size, (part + 1) * size) % count], size
    )
    found = []
    for part in range(math.ceil(count / size)):
        image = batches.preprocessing.standardize(parts.read(part).image)
        found.append(ops.convert_to_numpy(forward(image)[shapes.EMBEDDING]))
    return np.concatenate(found)[:count]


def _distances(embedding: np.ndarray, triplets: np.ndarray) -> np.ndarray:
    anchor, positive, negative = (embedding[column] for column in triplets.T)
    pairs = (np.sum(np.square(anchor - other), axis=1) for other in (positive, negative))
    return np.stack(list(pairs), axis=1)
