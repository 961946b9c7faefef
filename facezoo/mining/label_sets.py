"""Data sets side by side: whose labels are whose, and which identities may be told apart."""

from collections.abc import Mapping, Sequence

import numpy as np
from keras import ops

from facezoo import shapes
from facezoo.ops import Tensor

# Equal to no label.
_NOBODY = np.iinfo(shapes.LABEL).min


class LabelSets:
    """Sets of identities whose labels follow each other: set i has the labels after set i - 1.

    Two data sets may know one person under two labels. A training that takes those two for
    different people teaches a mistake; one that never looks across sets does not.

    Args:
        num_classes: Number of identities of every set, each at least 1.
        cross_set_negatives: Whether identities of two sets may be told apart.
        duplicates: Pairs of labels that are suspected to be one person, of two sets or of one:
            these are not told apart in any case.

    Raises:
        ValueError: A set without identities, or a pair that is no pair of two different labels.

    Example:
        >>> sets = LabelSets([2, 2], cross_set_negatives=True, duplicates=[(0, 2)])
        >>> sets.is_comparable([0, 1], [0, 1, 2, 3]).numpy().tolist()
        [[True, True, False, True], [True, True, True, True]]
    """

    def __init__(
        self,
        num_classes: Sequence[int],
        cross_set_negatives: bool = False,
        duplicates: Sequence[Sequence[int]] = (),
    ) -> None:
        self.num_classes = [int(count) for count in num_classes]
        if not self.num_classes or min(self.num_classes) < 1:
            raise ValueError(
                "num_classes must be the number of identities of every set, each at least 1. "
                f"Received: num_classes={num_classes!r}."
            )
        self.cross_set_negatives = bool(cross_set_negatives)
        # Where every set begins; the last one is where a further set would.
        self.edges = np.cumsum([0, *self.num_classes]).tolist()
        self.duplicates = [[int(label) for label in pair] for pair in duplicates]
        self._partners = _partners(self.duplicates, self.edges[-1])

    def is_comparable(self, label: Tensor, other: Tensor) -> Tensor:
        """Tells which samples may be negatives of which, as far as their sets are concerned.

        Args:
            label: int [A]. A label outside every set may be compared with everyone.
            other: int [N], the same kind of labels.

        Returns:
            bool [A, N]; whether the labels differ is not looked at.
        """
        label, other = ops.cast(label, shapes.LABEL), ops.cast(other, shapes.LABEL)
        own, theirs = self._set_of(label)[:, None], self._set_of(other)[None, :]
        found = ops.equal(own, theirs)
        if self.cross_set_negatives:
            found = ops.ones_like(found)
        found = ops.logical_or(found, ops.logical_or(own < 0, theirs < 0))
        place = ops.clip(label, 0, self.edges[-1] - 1)
        for partners in self._partners:
            partner = ops.where(own[:, 0] < 0, _NOBODY, ops.take(partners, place))
            found = ops.logical_and(found, ops.not_equal(partner[:, None], other[None, :]))
        return found

    def own_labels(self, label: Tensor) -> list[Tensor]:
        """Returns the labels inside each set, int32 [B] from 0 on; -1 for those of other sets."""
        return [
            ops.where(ops.logical_and(label >= first, label < end), label - first, -1)
            for first, end in zip(self.edges[:-1], self.edges[1:], strict=True)
        ]

    def get_config(self) -> Mapping[str, object]:
        """Returns the arguments as plain data."""
        return {
            "num_classes": self.num_classes,
            "cross_set_negatives": self.cross_set_negatives,
            "duplicates": self.duplicates,
        }

    def _set_of(self, label: Tensor) -> Tensor:
        """Returns the number of each label's set, int32 [B] from 0 on; -1 outside every set."""
        edges = ops.convert_to_tensor(self.edges, shapes.LABEL)
        is_behind = ops.cast(label[:, None] >= edges[None, :], shapes.LABEL)
        found = ops.sum(is_behind, axis=1) - 1
        return ops.where(found < len(self.num_classes), found, -1)


def _partners(duplicates: Sequence[Sequence[int]], num_classes: int) -> np.ndarray:
    """Returns whom each identity is not told apart from: int32 [most partners of one, C]."""
    found: dict[int, set[int]] = {}
    for pair in duplicates:
        if len(pair) != 2 or pair[0] == pair[1] or not 0 <= min(pair) <= max(pair) < num_classes:
            raise ValueError(
                "duplicates must be pairs of two different labels of all sets together, each in "
                f"[0, {num_classes}). Received: {pair!r}."
            )
        first, second = pair
        found.setdefault(first, set()).add(second)
        found.setdefault(second, set()).add(first)
    most = max(map(len, found.values()), default=0)
    table = np.full((most, num_classes), _NOBODY, shapes.LABEL)
    for label, partners in found.items():
        table[: len(partners), label] = sorted(partners)
    return table
