"""What speaks for two people being one, and what of it stands in a plan."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.centers import class_means, dominant_centers
from facezoo.curation.faces import Faces
from facezoo.curation.likeness import Likeness
from facezoo.curation.person_neighbors import STRANGERS, PersonNeighbors
from facezoo.metrics import nearest

_DIGITS: Final = 4

Couples = NDArray[np.int64]


class DuplicateEvidence:
    """Whatever is asked of a couple: their centres, their neighbours, and their pictures.

    Args:
        faces: The pictures.
        num_neighbors: How many of the nearest people of everybody are couples.
        centers: float32 [P, K, D], class centres; None for the means of embeddings.
    """

    def __init__(
        self, faces: Faces, num_neighbors: int, centers: NDArray[np.float32] | None = None
    ) -> None:
        center = class_means(faces) if centers is None else dominant_centers(centers, faces)
        self.faces = faces
        self.neighbors = PersonNeighbors.search(center, max(num_neighbors, STRANGERS + 1))
        self.likeness = Likeness.of(faces)
        self._by_person = np.argsort(faces.label, kind="stable")
        self._begin = np.cumsum([0, *self.likeness.num_images])

    def score(self, couples: Couples) -> NDArray[np.float64]:
        """How sure it is that the two are one: `1 - nearness`, 0 where that is not known."""
        return np.clip(np.nan_to_num(1.0 - self.neighbors.nearness(couples)), 0.0, 1.0)

    def table(self, couples: Couples) -> list[dict[str, Any]]:
        """The evidence for each couple, plain JSON; null where it is not known."""
        one, other = couples.T
        columns = {
            "cosine": self.neighbors.cosine_of(couples),
            "inside": self.likeness.inside[one],
            "inside_other": self.likeness.inside[other],
            "between": self.likeness.between(couples),
            "agreement": self.likeness.agreement(couples),
            "nearness": self.neighbors.nearness(couples),
        }
        counts = self.likeness.num_images
        return [
            {
                **{name: _rounded(values[row]) for name, values in columns.items()},
                "images": int(counts[one[row]]),
                "images_other": int(counts[other[row]]),
                **self._best_pictures(one[row], other[row]),
            }
            for row in range(len(couples))
        ]

    def _best_pictures(self, one: int, other: int) -> dict[str, Any]:
        """The two pictures that are most alike: they show best what it is about."""
        rows, other_rows = self._rows(one), self._rows(other)
        embedding = self.faces.embedding
        distance, index = nearest(embedding[rows], embedding[other_rows], k=1)
        best = int(np.argmin(distance[:, 0]))
        return {
            "picture": self.faces.file[rows[best]],
            "picture_other": self.faces.file[other_rows[index[best, 0]]],
            "picture_cosine": _rounded(1.0 - distance[best, 0] / 2.0),
        }

    def _rows(self, person: int) -> NDArray[np.int64]:
        return self._by_person[self._begin[person] : self._begin[person + 1]]


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), _DIGITS)
