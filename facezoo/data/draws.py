"""The random numbers of a step, the same on every back end and whichever rows are read."""

from typing import Final

import numpy as np

# Sampling, which draws people and images, and augmentation must not share their numbers.
ORDER_OF_PEOPLE: Final = 0
IMAGES_OF_A_BATCH: Final = 1
_AUGMENTATION: Final = 2
# Columns of `draw`, one for each way in which an image is changed.
NUM_DRAWS: Final = 11


def augmentation_draws(seed: int, step: int, batch_size: int) -> np.ndarray:
    """Returns float32 [batch_size, NUM_DRAWS] in [-1, 1) that depend on the arguments alone."""
    rng = np.random.default_rng((seed, _AUGMENTATION, step))
    return rng.random((batch_size, NUM_DRAWS), np.float32) * np.float32(2) - np.float32(1)
