"""Which images each person has, in two flat arrays that may lie on disk."""

from typing import NamedTuple

import numpy as np


class IdentityGroups(NamedTuple):
    """Images by identity, as a sparse matrix in rows stores its columns.

    Args:
        order: int64 [N], every image, those of one identity side by side.
        starts: int64 [P + 1]; identity `i` has the images `order[starts[i] : starts[i + 1]]`.
        identities: int32 [P], the identities' labels, rising.

    Example:
        >>> groups = IdentityGroups.of(np.array([7, 5, 7]))
        >>> groups.identities.tolist(), groups.images(1).tolist()
        ([5, 7], [0, 2])
    """

    order: np.ndarray
    starts: np.ndarray
    identities: np.ndarray

    @classmethod
    def of(cls, label: np.ndarray) -> "IdentityGroups":
        """Groups the images of a label array int [N] in memory."""
        identities, counts = np.unique(label, return_counts=True)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return cls(np.argsort(label, kind="stable"), starts, identities)

    @property
    def num_identities(self) -> int:
        """P, the number of people."""
        return len(self.identities)

    @property
    def num_images(self) -> int:
        """N, the number of images."""
        return len(self.order)

    def counts(self) -> np.ndarray:
        """Returns int64 [P], how many images each identity has."""
        return np.diff(self.starts)

    def images(self, identity: int) -> np.ndarray:
        """Returns the images of the identity with this number, not label."""
        return self.order[self.starts[identity] : self.starts[identity + 1]]
