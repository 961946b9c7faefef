"""The probe: fixed images that are embedded again and again while a model trains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from facezoo import shapes
from facezoo.models import FaceModel
from facezoo.ops import pairwise_distance


@dataclass(frozen=True, eq=False)
class Probe:
    """Images of people, the same ones throughout a training.

    All their pairs are looked at: memory and time grow with the square of their number, so that
    some hundreds are right and some thousands possible.

    Args:
        image: uint8 or float [N, H, W, 3] in [0, 255], at the network's size, without augmentation.
        label: int [N], identities: two or more, one of them with two images or more.
        name: What to call each image, N of them; None for the identity's number.
        batch_size: Images that are embedded at once.

    Raises:
        ValueError: The shapes do not fit, or there is no genuine or no impostor pair.
    """

    image: NDArray
    label: NDArray
    name: Sequence[str] | None = None
    batch_size: int = 64

    def __post_init__(self) -> None:
        image, label = np.shape(self.image), np.shape(self.label)
        names = label if self.name is None else (len(self.name),)
        if len(image) != 4 or image[-1] != shapes.NUM_CHANNELS or not image[:1] == label == names:
            raise ValueError(
                "A probe needs image [N, H, W, 3], label [N] and N names or None. "
                f"Received: image {image}, label {label}, {names[0]} names."
            )
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {self.batch_size}.")
        _, counts = np.unique(self.label, return_counts=True)
        if len(counts) < 2 or counts.max() < 2:
            raise ValueError(
                "A probe needs two people or more, and two images or more of one of them: without, "
                "there are no genuine or no impostor pairs to look at. "
                f"Received: {len(counts)} people, at most {counts.max(initial=0)} images of one."
            )

    def names(self) -> list[str]:
        """Returns what each image is called, on one line."""
        if self.name is None:
            return [f"identity {label}" for label in self.label]
        return [" ".join(name.split()) for name in self.name]

    def pixels(self, row: int) -> NDArray[np.uint8]:
        """Returns one image as uint8 [H, W, 3]."""
        return np.clip(np.rint(self.image[row]), 0, 255).astype(np.uint8)


class Embedded(NamedTuple):
    """What a model makes of a probe: embedding float32 [N, D], norm float32 [N]."""

    embedding: NDArray[np.float32]
    norm: NDArray[np.float32]


def embed(model: FaceModel, probe: Probe) -> Embedded:
    """Embeds a probe in inference mode, which leaves no trace in the model.

    Args:
        model: Its `preprocessing` standardises the images.
        probe: The images.

    Raises:
        ValueError: The images are not of the network's size.
    """
    count = len(probe.label)
    size = min(probe.batch_size, count)
    found = []
    for start in range(0, count, size):
        # Full to the last: a back end that compiles for a shape does so once.
        rows = np.arange(start, start + size) % count
        output = model(model.preprocessing.standardize(probe.image[rows]), training=False)
        found.append([ops.convert_to_numpy(output[key]) for key in (shapes.EMBEDDING, shapes.NORM)])
    embedding, norm = (np.concatenate(parts)[:count] for parts in zip(*found, strict=True))
    return Embedded(embedding, norm)


def distance_matrix(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the squared L2 distance of every two embeddings, float32 [N, N]."""
    return ops.convert_to_numpy(pairwise_distance("squared-L2")(embedding))


def split_pairs(
    distances: NDArray[np.float32], label: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sorts the distances of all pairs by kind.

    Args:
        distances: [N, N].
        label: int [N].

    Returns:
        `(genuine [G], impostor [I])`; no pair comes twice, no image is paired with itself.
    """
    first, second = np.triu_indices(len(label), k=1)
    is_genuine = np.asarray(label)[first] == np.asarray(label)[second]
    found = distances[first, second]
    return found[is_genuine], found[~is_genuine]
