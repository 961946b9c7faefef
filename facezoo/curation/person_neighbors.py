"""The nearest other people of everybody, and how near a couple is, strangers being the measure."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.likeness import couple_products
from facezoo.metrics import nearest_others

# How near strangers are, the fifth says: those before may be the same person under further names.
STRANGERS: Final = 5
# Distances below this are rounding: where all centres are one, nobody is nearer than strangers.
_ROUNDING: Final = 1e-6


class PersonNeighbors(NamedTuple):
    """The nearest other people of everybody, the nearest first.

    Args:
        center: float32 [P, D], unit length, or zeros: who is near nobody.
        cosine: float32 [P, k]; -inf where there is nobody.
        index: int64 [P, k]; -1 where there is nobody.
    """

    center: NDArray[np.float32]
    cosine: NDArray[np.float32]
    index: NDArray[np.int64]

    @classmethod
    def search(cls, center: NDArray[np.float32], count: int) -> "PersonNeighbors":
        """Finds some of the nearest, or all where there are fewer; exact, in blocks."""
        known = np.flatnonzero(center.any(axis=1))
        cosine = np.full((len(center), count), -np.inf, np.float32)
        index = np.full((len(center), count), -1)
        if (found := min(count, len(known) - 1)) > 0:
            distance, place = nearest_others(center[known], found)
            cosine[known, :found], index[known, :found] = 1.0 - distance / 2.0, known[place]
        return cls(center, cosine, index)

    def couples(self, count: int, threshold: float) -> NDArray[np.int64]:
        """Returns who is among the nearest `count` of whom, int64 [M, 2], the lower row first."""
        one, place = np.nonzero(self.cosine[:, :count] >= threshold)
        couples = np.stack([one, self.index[one, place]], axis=1)
        return np.unique(np.sort(couples, axis=1), axis=0)

    def cosine_of(self, couples: NDArray[np.int64]) -> NDArray[np.float64]:
        """The cosine of the two centres, float64 [M]."""
        return np.clip(couple_products(self.center, couples), -1.0, 1.0)

    def nearness(self, couples: NDArray[np.int64]) -> NDArray[np.float64]:
        """How near the two are, strangers being at 1; NaN where there is nobody else.

        `(1 - cosine) / (1 - cosine of a stranger)`. The stranger is the fifth nearest to either,
        whichever is nearer, besides the two. So it needs no scale of the model: where it crowds
        people together, such as children, to be near says less.

        Returns:
            float64 [M].
        """
        one, other = couples.T
        stranger = np.maximum(self._stranger(one, other), self._stranger(other, one))
        is_known = np.isfinite(stranger)
        apart = 1.0 - self.cosine_of(couples) + _ROUNDING
        away = 1.0 - np.where(is_known, stranger, 0.0) + _ROUNDING
        return np.where(is_known, apart / away, np.nan)

    def _stranger(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float64]:
        is_other = self.index[one] == other[:, None]
        cosine = np.where(is_other, -np.inf, self.cosine[one]).astype(np.float64)
        cosine = -np.sort(-cosine, axis=1)
        there = np.isfinite(cosine).sum(axis=1)
        return cosine[np.arange(len(one)), np.clip(there, 1, STRANGERS) - 1]
