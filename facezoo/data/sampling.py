"""Which images stand in which batch: P identities x K images, and R others, by seed and step."""

from typing import Final

import numpy as np

from facezoo.data.draws import IMAGES_OF_A_BATCH, ORDER_OF_PEOPLE
from facezoo.data.identity_groups import IdentityGroups

FEW_IMAGES: Final = ("repeat", "skip", "fill")


class IdentitySampler:
    """Draws batches of P identities x K images and R negatives, images of other people.

    Batch `step` depends on nothing but the arguments and `step`, so that a training that was cut
    off goes on with the very batches it would have seen. Every identity is one of the P at most
    once in each pass over the identities, in an order that is new for each pass. Negatives come
    from as many different people as there are; no image is a negative twice.

    Args:
        groups: The images of every identity.
        num_identities: P, per batch.
        images_per_identity: K. Who has K images or more stands in a batch with K different ones.
        seed: Decides everything, 0 or more.
        num_negatives: R, per batch.
        few_images: What happens to people with fewer than K images. `"repeat"`: they stand in a
            batch with all of them, some repeated. `"skip"`: they are never among the P, but their
            images are negatives. `"fill"`: they stand in a batch with all of them, each once, and
            more negatives take the rest of their K rows: no image is in a batch twice.

    Raises:
        ValueError: There are not P people to choose from, or fewer images than a batch holds, or
            too few images of other people.

    Example:
        >>> groups = IdentityGroups.of(np.array([7, 7, 8, 8, 9, 9]))
        >>> IdentitySampler(groups, 2, 2, seed=0, num_negatives=1).batch(0).shape
        (5,)
    """

    def __init__(
        self,
        groups: IdentityGroups,
        num_identities: int,
        images_per_identity: int,
        seed: int,
        num_negatives: int = 0,
        few_images: str = "repeat",
    ) -> None:
        self.groups = groups
        self.num_identities = num_identities
        self.images_per_identity = images_per_identity
        self.num_negatives = num_negatives
        self.few_images = few_images
        self._seed = seed
        self._check_arguments()
        counts = groups.counts()
        self._eligible = np.arange(len(counts))
        if few_images == "skip":
            self._eligible = np.flatnonzero(counts >= images_per_identity)
        self._check_people()
        self._check_images(counts[self._eligible])
        self.batch_size = num_identities * images_per_identity + num_negatives
        self.batches_per_pass = len(self._eligible) // num_identities
        self._pass: tuple[int, np.ndarray] = (0, self._permutation(0))

    def batch(self, step: int) -> np.ndarray:
        """Returns the images of batch `step`, int64 [P * K + R], by identity, negatives last."""
        people = self._people(step)
        rng = np.random.default_rng((self._seed, IMAGES_OF_A_BATCH, step))
        own = [self._draw(person, rng) for person in people]
        missing = [self.images_per_identity - len(images) for images in own]
        others = self._negatives(people, sum(missing) + self.num_negatives, rng)
        ends = np.cumsum(missing)
        filling = np.split(others, ends)
        rows = [part for pair in zip(own, filling, strict=False) for part in pair]
        return np.concatenate([*rows, filling[-1]])

    def _people(self, step: int) -> np.ndarray:
        number, position = divmod(step, self.batches_per_pass)
        # Read once: another thread may be at another pass.
        known, order = self._pass
        if known != number:
            order = self._permutation(number)
            self._pass = (number, order)
        start = position * self.num_identities
        return order[start : start + self.num_identities]

    def _permutation(self, number: int) -> np.ndarray:
        rng = np.random.default_rng((self._seed, ORDER_OF_PEOPLE, number))
        return rng.permutation(self._eligible)

    def _draw(self, person: int, rng: np.random.Generator) -> np.ndarray:
        images, wanted = self.groups.images(person), self.images_per_identity
        drawn = images[rng.choice(len(images), min(len(images), wanted), replace=False)]
        return drawn if self.few_images == "fill" else np.resize(drawn, wanted)

    def _negatives(self, people: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
        """Draws different images of people who are not among `people`."""
        if wanted == 0:
            return np.empty(0, np.int64)
        others = self._others(people, wanted, rng)
        who, how_often = np.unique(others, return_counts=True)
        images = [
            self.groups.images(person)[rng.choice(self._count(person), number, replace=False)]
            for person, number in zip(who, how_often, strict=True)
        ]
        return rng.permutation(np.concatenate(images))

    def _others(self, people: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
        """Draws whose images are negatives: as many people as there are, then some again."""
        total = self.groups.num_identities
        drawn = rng.choice(total, min(total, wanted + len(people)), replace=False)
        others = drawn[~np.isin(drawn, people)][:wanted]
        rounds, found, left = [others], len(others), self._count(others) - 1
        while found < wanted:
            again = rng.permutation(others[left > 0])[: wanted - found]
            rounds.append(again)
            found, left = found + len(again), left - 1
        return np.concatenate(rounds)

    def _count(self, person: int | np.ndarray) -> int | np.ndarray:
        starts = self.groups.starts
        return starts[person + 1] - starts[person]

    def _check_arguments(self) -> None:
        if self.few_images not in FEW_IMAGES:
            raise ValueError(
                f"few_images must be one of {', '.join(FEW_IMAGES)}. Received: {self.few_images!r}."
            )
        for name, least in (("images_per_identity", 1), ("num_negatives", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be at least {least}. Received: {getattr(self, name)}."
                )

    def _check_people(self) -> None:
        known, wanted = len(self._eligible), self.num_identities
        if 1 <= wanted <= known:
            return
        skipped = self.groups.num_identities - known
        why = (
            f"; {skipped} with fewer than {self.images_per_identity} images are skipped"
            if skipped
            else ""
        )
        raise ValueError(
            "A batch of num_identities x images_per_identity needs that many different people. "
            f"Expected: 1 to {known} (the data has no more{why}). "
            f"Received: num_identities={wanted}. Use a smaller batch or more data."
        )

    def _check_images(self, counts: np.ndarray) -> None:
        """Checks the batch that takes most images away: that of the people who have most."""
        num_images, fill = self.groups.num_images, self.few_images == "fill"
        size = self.num_identities * self.images_per_identity + self.num_negatives
        if num_images < size:
            raise ValueError(
                f"A batch must not be larger than the data. Expected: at most {num_images} images. "
                f"Received: num_identities={self.num_identities} x images_per_identity="
                f"{self.images_per_identity} + num_negatives={self.num_negatives} = {size}. "
                "Use a smaller batch or more data."
            )
        taken = np.maximum(counts, self.images_per_identity) if fill else counts
        most = int(np.partition(taken, -self.num_identities)[-self.num_identities :].sum())
        if self.num_negatives > num_images - most:
            raise ValueError(
                "num_negatives counts images of people who are not among the num_identities of "
                f"the batch. Expected: at most {max(0, num_images - most)}, what is left of "
                f"{num_images} images in the worst batch. Received: num_negatives="
                f"{self.num_negatives}, few_images={self.few_images!r}. Use fewer, or a smaller "
                "num_identities."
            )
