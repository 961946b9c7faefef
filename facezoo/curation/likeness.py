"""How alike the pictures of a person are, and those of two people: the evidence for a couple."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.faces import Faces
from facezoo.curation.leave_one_out import class_totals

_COUPLES_AT_ONCE: Final = 2**13


def couple_products(vectors: NDArray[np.float32], couples: NDArray[np.int64]) -> NDArray:
    """The product of two rows for each couple, float64 [M], some at a time.

    Args:
        vectors: float32 [P, D].
        couples: int64 [M, 2], rows.
    """
    found = np.empty(len(couples))
    for start in range(0, len(couples), _COUPLES_AT_ONCE):
        rows = slice(start, start + _COUPLES_AT_ONCE)
        one, other = couples[rows].T
        found[rows] = np.einsum("md,md->m", vectors[one], vectors[other], dtype=np.float64)
    return found


@dataclass(frozen=True, eq=False)
class Likeness:
    """Mean cosines of pictures, from sums of embeddings: no picture is compared with another.

    Args:
        total: float32 [P, D], the sum of everybody's embeddings.
        num_images: int64 [P].
        inside: float64 [P], the mean cosine of two of a person's pictures; NaN for one picture.
    """

    total: NDArray[np.float32]
    num_images: NDArray[np.int64]
    inside: NDArray[np.float64]

    @classmethod
    def of(cls, faces: Faces) -> "Likeness":
        """Sums up the embeddings; `(|total|^2 - n) / (n (n - 1))` is the mean inside n pictures."""
        total = class_totals(faces.embedding, faces.label, faces.num_people)
        count = faces.num_images_of()
        squared = np.einsum("pd,pd->p", total, total, dtype=np.float64)
        # n, but for the rounding of embeddings that are not quite of unit length.
        own = np.einsum("nd,nd->n", faces.embedding, faces.embedding, dtype=np.float64)
        pairs = np.where(count > 1, count * (count - 1.0), np.nan)
        inside = (squared - np.bincount(faces.label, own, len(count))) / pairs
        return cls(total, count, inside)

    def between(self, couples: NDArray[np.int64]) -> NDArray[np.float64]:
        """The mean cosine of a picture of the one and a picture of the other, float64 [M].

        Args:
            couples: int64 [M, 2], rows of people.
        """
        return couple_products(self.total, couples) / self.num_images[couples].prod(axis=1)

    def agreement(self, couples: NDArray[np.int64]) -> NDArray[np.float64]:
        """`between / sqrt(inside one * inside other)`, float64 [M]; couples as for `between`.

        This is the cosine of the two means without the noise in them: near 1 for halves of one
        person, however many pictures these have, and however alike a model finds pictures of one
        person. Few pictures are alike by chance, so that everybody is taken to have a pair more, of
        the usual cosine, the median of all who have two pictures or more.
        """
        return self.between(couples) / np.sqrt(self._usual_inside()[couples].prod(axis=1))

    def _usual_inside(self) -> NDArray[np.float64]:
        known = self.num_images > 1
        usual = np.median(self.inside[known]) if known.any() else 1.0
        pairs = self.num_images * (self.num_images - 1) / 2
        inside = (pairs * np.where(known, self.inside, 0.0) + usual) / (pairs + 1)
        return np.maximum(inside, np.finfo(np.float32).eps)
