"""Which images stand in which batch: P identities x K images, a pure function of seed and step."""

import numpy as np


class IdentitySampler:
    """Draws batches of P identities x K images.

    Batch `step` depends on nothing but the arguments and `step`, so that a training that was cut
    off goes on with the very batches it would have seen. Every identity is drawn at most once in
    each pass over the identities, in an order that is new for each pass.

    Args:
        label: int [N], the identity's number of each image.
        num_identities: P, per batch.
        images_per_identity: K. Who has K images or more stands in a batch with K different ones;
            who has fewer stands there with all of them, some repeated.
        seed: Decides everything.

    Raises:
        ValueError: There are fewer than P identities.

    Example:
        >>> sampler = IdentitySampler(np.array([7, 7, 8, 8, 9, 9]), 2, 2, seed=0)
        >>> sampler.batch(0).shape
        (4,)
    """

    def __init__(
        self, label: np.ndarray, num_identities: int, images_per_identity: int, seed: int
    ) -> None:
        label = np.asarray(label)
        known = np.unique(label)
        if not 1 <= num_identities <= len(known):
            raise ValueError(
                "A batch of num_identities x images_per_identity needs that many different "
                f"people. Expected: 1 to {len(known)} (the data has no more). "
                f"Received: num_identities={num_identities}. Use a smaller batch or more data."
            )
        if images_per_identity < 1:
            raise ValueError(
                f"images_per_identity must be at least 1. Received: {images_per_identity}."
            )
        self._images = [np.flatnonzero(label == one) for one in known]
        self._num_identities = num_identities
        self._images_per_identity = images_per_identity
        self._seed = seed
        self.batches_per_pass = len(known) // num_identities

    def batch(self, step: int) -> np.ndarray:
        """Returns the indexes of the images in batch `step`, int64 [P * K], by identity."""
        one_pass, position = divmod(step, self.batches_per_pass)
        order = np.random.default_rng((self._seed, 0, one_pass)).permutation(len(self._images))
        start = position * self._num_identities
        rng = np.random.default_rng((self._seed, 1, step))
        chosen = order[start : start + self._num_identities]
        return np.concatenate([self._draw(self._images[identity], rng) for identity in chosen])

    def _draw(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shuffled = rng.permutation(images)
        return np.resize(shuffled, self._images_per_identity)
