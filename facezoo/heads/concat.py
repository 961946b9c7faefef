"""Concat-train: a head for each of several data sets, side by side over one trunk."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from facezoo import shapes
from facezoo.margin_head import MarginHead
from facezoo.mining import LabelSets
from facezoo.ops import MASKED, Tensor


@keras.saving.register_keras_serializable("facezoo")
class ConcatHead(MarginHead):
    """The logits of N heads in one row; a sample is judged by the head of its own data set.

    Labels count through: set i has those after set i - 1, and as many columns. In a row of set i
    the columns of the others are masked, so that one sparse cross-entropy on all columns is exactly
    that of each set's own head; so are its gradient, its margin and its penalty. Data sets that
    share people can so be trained together without knowing who is who. No head of its own in the
    registry: it is made of those that are.

    Args:
        heads: One of each set, of any kind and number of classes, no two the same object.
        names: Of the sets, for their accuracies `class_accuracy/NAME`; `"0"`, `"1"` .. by default.
        cross_set_negatives: Whether the classes of the other sets count as further negatives. Each
            head scales its own columns: give the heads one scale then.
        duplicates: Pairs of labels suspected to be one person: in the rows of either, the column of
            the other is masked.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation.
        label: int [B] in [0, C), C the number of all classes. A label outside is of no set: no
            column is masked, none is its own.
        training: bool, whether running statistics move: those of a head by the rows of its set.

    Returns:
        logits, float32 [B, C]; fewer columns in training if a head samples them (`PartialFC`).

    Raises:
        ValueError: There is no head, or one twice; `names` are not one per head and all different;
            a duplicate is no pair of labels, or of a set whose head samples its columns; `label` is
            not int [B].

    Numerics:
        A masked logit is -1e9: its exponential is exactly 0, and no gradient passes it.

    Example:
        >>> import numpy as np
        >>> from facezoo.heads import ArcFace, CosFace
        >>> parts = [CosFace(2, margin=0.25, scale=8.0), ArcFace(1, margin=0.0, scale=4.0)]
        >>> head = ConcatHead(parts, names=["fiw", "celeba"])
        >>> head.build((None, 2))
        >>> head.set_weights([np.eye(2), np.eye(2)[:, 1:]])
        >>> head(np.eye(2), np.ones(2), np.array([0, 2])).numpy().tolist()
        [[6.0, 0.0, -1000000000.0], [-1000000000.0, -1000000000.0, 4.0]]
    """

    def __init__(
        self,
        heads: Sequence[MarginHead],
        names: Sequence[str] | None = None,
        cross_set_negatives: bool = False,
        duplicates: Sequence[Sequence[int]] = (),
        **kwargs: Any,
    ) -> None:
        heads = list(heads)
        if not heads or len(set(map(id, heads))) < len(heads):
            raise ValueError(
                "heads must be at least one head, and a different one for each data set. "
                f"Received: {[type(head).__name__ for head in heads]}."
            )
        names = [str(name) for name in (range(len(heads)) if names is None else names)]
        if len(names) != len(heads) or len(set(names)) < len(names):
            raise ValueError(
                "names must be one for each head, and all different. "
                f"Expected: {len(heads)}. Received: {names}."
            )
        sets = LabelSets([head.num_classes for head in heads], cross_set_negatives, duplicates)
        super().__init__(sets.edges[-1], scale=None, **kwargs)
        self.heads = heads
        self.names = names
        self.sets = sets
        self._check_duplicates()

    @property
    def label_ranges(self) -> Mapping[str, tuple[int, int]]:
        edges = zip(self.sets.edges[:-1], self.sets.edges[1:], strict=True)
        return dict(zip(self.names, edges, strict=True))

    def build(self, embedding_shape: tuple[int | None, int]) -> None:
        for head in self.heads:
            if not head.built:
                head.build(embedding_shape)
        self.built = True

    def call(
        self, embedding: Tensor, norm: Tensor, label: Tensor, training: bool = False
    ) -> Tensor:
        label = super().columns(label)
        blocks = [
            head(embedding, norm, own, training=training) for head, own in self._by_head(label)
        ]
        classes = ops.concatenate(
            [self._classes(place, block) for place, block in enumerate(blocks)]
        )
        is_open = self.sets.is_comparable(label, classes)
        return ops.where(is_open, ops.concatenate(blocks, axis=1), MASKED)

    def columns(self, label: Tensor, training: bool = False) -> Tensor:
        label, start = super().columns(label), 0
        found = ops.full_like(label, -1)
        for head, own in self._by_head(label):
            column = start + head.columns(own, training=training)
            found = ops.where(own >= 0, column, found)
            start = start + head.num_columns(own, training=training)
        return found

    def num_columns(self, label: Tensor, training: bool = False) -> Tensor | int:
        label = super().columns(label)
        return sum(head.num_columns(own, training) for head, own in self._by_head(label))

    def penalty(self, norm: Tensor, label: Tensor) -> Tensor | None:
        total = None
        for head, own in self._by_head(super().columns(label)):
            values = head.penalty(norm, own)
            if values is not None:
                values = ops.where(own >= 0, values, 0.0)
                total = values if total is None else total + values
        return total

    def _by_head(self, label: Tensor) -> list[tuple[MarginHead, Tensor]]:
        """Returns every head and the labels as it knows them: -1, masked, for other sets' rows."""
        return list(zip(self.heads, self.sets.own_labels(label), strict=True))

    def _classes(self, place: int, block: Tensor) -> Tensor:
        """Returns the class of every column of a head, or one of its set where it samples them."""
        first = self.sets.edges[place]
        if _samples(self.heads[place]):
            return ops.full((ops.shape(block)[1],), first, dtype=shapes.LABEL)
        return ops.arange(first, self.sets.edges[place + 1], dtype=shapes.LABEL)

    def _check_duplicates(self) -> None:
        for name, head in zip(self.names, self.heads, strict=True):
            first, end = self.label_ranges[name]
            pairs = [pair for pair in self.sets.duplicates if any(first <= x < end for x in pair)]
            if pairs and _samples(head):
                raise ValueError(
                    "duplicates need heads whose columns are their classes, and "
                    f"{type(head).__name__} of set {name!r} draws its columns. Received: "
                    f"{pairs[0]!r}. Use another head, or cross_set_negatives=False without "
                    "duplicates."
                )

    def get_config(self) -> dict[str, Any]:
        sets = self.sets.get_config()
        config = {**super().get_config(), **sets, "names": self.names}
        config["heads"] = [keras.saving.serialize_keras_object(head) for head in self.heads]
        del config["num_classes"], config["scale"]
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ConcatHead":
        """Makes the head from what `get_config` returned."""
        heads = [keras.saving.deserialize_keras_object(head) for head in config["heads"]]
        return cls(**{**config, "heads": heads})


def _samples(head: MarginHead) -> bool:
    return type(head).columns is not MarginHead.columns
