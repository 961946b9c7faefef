"""What the crops that a model is trained on look like, to be stored with it."""

from typing import Any, Final

import numpy as np

from facezoo.data.batches import TrainingBatches
from facezoo.data.crop_statistics import MIN_IMAGES, MIN_PEOPLE, fit_crop_statistics
from facezoo.data.pixels import decode_stored
from facezoo.training.training_sets import Batches

# Of more, the limit would be more exact than anyone needs.
_MOST_IMAGES: Final = 1_000


def describe_crops(batches: Batches) -> dict[str, Any] | None:
    """Returns the `crop_statistics` of a preset, from images at even distances through all data.

    Args:
        batches: Of the training; what counts is their images before augmentation.

    Returns:
        None if there are too few images or people to tell what is typical.

    Raises:
        ValueError: A record is damaged.
    """
    sets = [batches] if isinstance(batches, TrainingBatches) else batches.batches
    ends = np.cumsum([one.index.num_images for one in sets])
    images, labels = [], []
    for place in np.linspace(0, ends[-1] - 1, min(_MOST_IMAGES, ends[-1])).astype(np.int64):
        which = int(np.searchsorted(ends, place, side="right"))
        index = sets[which].index
        position = int(place - (ends[which] - index.num_images))
        images.append(decode_stored(index.read(position).encoded))
        # People of different data sets have the same numbers.
        labels.append(int(index.label[position]) * len(sets) + which)
    if len(images) < MIN_IMAGES or len(set(labels)) < MIN_PEOPLE:
        return None
    return fit_crop_statistics(images, labels).get_config()
