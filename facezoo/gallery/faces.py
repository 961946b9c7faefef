"""A gallery's faces in memory, in an order that does not depend on who was enrolled first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Faces:
    """What a gallery held at one moment, ordered by person, then by digest of the picture.

    Args:
        people: Names, P, ascending.
        label: int64 [N], the row in `people` of each picture, ascending.
        embedding: float32 [N, D], unit length.
        source: Name of each picture, N.
        generation: How often the gallery had been changed.
    """

    people: tuple[str, ...]
    label: NDArray[np.int64]
    embedding: NDArray[np.float32]
    source: tuple[str, ...]
    generation: int = 0

    def __len__(self) -> int:
        return len(self.label)

    def check_not_empty(self) -> None:
        """Raises ValueError where nobody is enrolled."""
        if not len(self):
            raise ValueError(
                "The gallery is empty: nobody is enrolled. Enrol people first, with "
                "`python -m facezoo gallery enrol`."
            )

    def first_rows(self) -> NDArray[np.int64]:
        """Returns where each person's pictures begin, int64 [P]."""
        return np.searchsorted(self.label, np.arange(len(self.people)))

    def totals(self) -> NDArray[np.float64]:
        """Returns the sum of each person's embeddings, float64 [P, D]."""
        return np.add.reduceat(self.embedding, self.first_rows(), axis=0, dtype=np.float64)

    def templates(self) -> NDArray[np.float32]:
        """Returns the mean of each person's embeddings at unit length, float32 [P, D].

        Raises:
            ValueError: The embeddings of a person add up to zero.
        """
        total = self.totals()
        length = np.linalg.norm(total, axis=1, keepdims=True)
        if not length.all():
            person = self.people[int(np.argmin(length))]
            raise ValueError(
                f"The embeddings of {person!r} add up to zero: they have no mean. Compare with "
                "the nearest picture instead, or remove the pictures of somebody else."
            )
        return (total / length).astype(np.float32)
