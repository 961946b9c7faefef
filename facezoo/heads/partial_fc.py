"""Partial FC: any margin head on a random part of the classes, for very many of them."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from facezoo import registry, shapes
from facezoo.margin_head import MarginHead
from facezoo.ops import MASKED, Tensor, l2_normalize
from facezoo.replicas import gather_batch

# A rule must leave these to MarginHead: here the columns are a sample and the centres are rows.
_NOT_A_RULE = ("logits", "columns", "similarity", "centers_shape")


def sample_classes(
    num_classes: int, num_sample: int, seed: keras.random.SeedGenerator | int
) -> Tensor:
    """Draws different classes, every class with the same probability.

    The ring of all classes is cut at a random place into `num_sample` arcs of equal length (but for
    one), and one class is drawn from each: much faster than a shuffle of all classes.

    Args:
        num_classes: C.
        num_sample: How many to draw, in [1, C].
        seed: As for `keras.random`.

    Returns:
        int32 [num_sample].
    """
    edges = np.arange(num_sample + 1, dtype="int64") * num_classes // num_sample
    start, length = edges[:-1].astype(shapes.LABEL), np.diff(edges).astype(shapes.LABEL)
    drawn = keras.random.randint((num_sample + 1,), 0, num_classes, dtype=shapes.LABEL, seed=seed)
    place = ops.convert_to_tensor(start) + ops.mod(drawn[1:], ops.convert_to_tensor(length))
    return ops.mod(place + drawn[0], num_classes)


def first_column(label: Tensor, everyone: Tensor, num_classes: int) -> Tensor:
    """Where each label first stands in a list of labels.

    Args:
        label: int32 [b], each of them in the list.
        everyone: int32 [B].
        num_classes: C.

    Returns:
        int32 [b]; -1 for a label outside [0, C).
    """
    first = ops.argmax(ops.equal(label[:, None], everyone[None, :]), axis=1)
    is_class = ops.logical_and(label >= 0, label < num_classes)
    return ops.where(is_class, ops.cast(first, shapes.LABEL), -1)


def is_in(values: Tensor, wanted: Tensor) -> Tensor:
    """Which values are in a list: int32 [S], int32 [B] -> bool [S], without an [S, B] tensor."""
    wanted = ops.sort(wanted)
    place = ops.minimum(ops.searchsorted(wanted, values), ops.shape(wanted)[0] - 1)
    return ops.equal(ops.take(wanted, place), values)


@registry.register("head")
@keras.saving.register_keras_serializable("facezoo")
class PartialFC(MarginHead):
    """The logits of another head, in training for a random part of the classes only.

    A training step sees the classes of the global batch and, beside them, as many random others as
    make `sample_rate * C`; if the batch alone has more, it sees the batch's. Every replica draws
    the same. The columns are the batch's labels in order, then the random classes; a class that
    comes again, and what is beyond the number, is masked. `columns` says where a sample's own class
    stands, for the loss. Outside training, and with `sample_rate=1`, it is the rule itself.

    Args:
        num_classes: Number of identities C, at least 1.
        rule: Name of the margin head, default `"cosface"`; or a mapping of `"name"` and arguments,
            as presets describe a head.
        sample_rate: Share of the classes in a step, in (0, 1], default 0.1.
        margin: The rule's; None for the rule's own. Left out if the rule has none.
        scale: The rule's; None for the rule's own.
        seed: Decides which classes are drawn.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation.
        label: int [B] in [0, C). A label outside is masked: no column is its own.
        training: bool, whether classes are drawn and running statistics move.

    Returns:
        logits, float32 [B, B + sample_rate * C] in training, with the global batch's B columns;
        [B, C] otherwise.

    Raises:
        ValueError: An argument is out of range; the rule is unknown, or no rule on plain cosines;
            `label` is not int [B].

    Numerics:
        `centers` is [C, D], other than that of the rule alone: a class is a row, and the gradient
        has the sampled rows only (`IndexedSlices` on TensorFlow). Of Keras' optimizers, SGD without
        momentum, Adagrad and RMSprop then move no other row. Momentum, Adam's too, goes on moving
        the rows of earlier steps while it decays, and weight decay moves every row.

    Example:
        >>> import numpy as np
        >>> head = PartialFC(num_classes=1000, rule="arcface", sample_rate=0.1)
        >>> head.build((None, 2))
        >>> label = np.array([7, 7, 3])
        >>> head(np.eye(2)[[0, 0, 1]], np.ones(3), label, training=True).shape
        TensorShape([3, 103])
        >>> head.columns(label, training=True).numpy().tolist()
        [0, 0, 2]

    Source:
        An et al., "Killing Two Birds with One Stone: Efficient and Robust Training of Face
        Recognition CNNs by Partial FC", arXiv 2203.15565, section 3 (PFC).
    """

    SOURCE = "Partial FC, arXiv 2203.15565, section 3 (PFC)"
    TINY = {"num_classes": 5, "sample_rate": 0.5, "margin": 0.2, "scale": 16.0}

    def __init__(
        self,
        num_classes: int,
        rule: str | Mapping[str, Any] = "cosface",
        sample_rate: float = 0.1,
        margin: float | None = None,
        scale: float | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if not 0.0 < float(sample_rate) <= 1.0:
            raise ValueError(f"sample_rate must be in (0, 1]. Received: {sample_rate!r}.")
        given = {"num_classes": num_classes, "margin": margin, "scale": scale}
        head = _make_rule(rule, {key: value for key, value in given.items() if value is not None})
        super().__init__(num_classes, head.scale, **kwargs)
        self.head = head
        self.rule = rule
        self.sample_rate = float(sample_rate)
        self.margin = getattr(head, "margin", None)
        self.seed = int(seed)

    @property
    def num_sample(self) -> int:
        """Number of classes in a training step, unless the batch has more."""
        return max(1, round(self.sample_rate * self.num_classes))

    def centers_shape(self, embedding_dim: int) -> tuple[int, int]:
        return (self.num_classes, embedding_dim)

    def build_state(self) -> None:
        self.head.build_state()
        self.head.built = True
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        # Keras does not save a generator's state, but it saves what is a weight of the layer.
        self.seed_state = self.seed_generator.state

    def call(
        self, embedding: Tensor, norm: Tensor, label: Tensor, training: bool = False
    ) -> Tensor:
        if not self._samples(training):
            return super().call(embedding, norm, label, training)
        classes, is_kept = self._draw(label)
        rows = ops.take(self.centers, classes, axis=0)
        cosine = _cosine(ops.cast(embedding, shapes.FLOAT), rows)
        column = self.columns(label, training)
        logits = self.logits(cosine, ops.cast(norm, shapes.FLOAT), column, training)
        return ops.where(is_kept[None, :], logits, MASKED)

    def logits(self, cosine: Tensor, norm: Tensor, column: Tensor, training: bool) -> Tensor:
        return self.head.logits(cosine, norm, column, training)

    def columns(self, label: Tensor, training: bool = False) -> Tensor:
        label = super().columns(label, training)
        if not self._samples(training):
            return label
        (everyone,), _ = gather_batch(label)
        return first_column(label, everyone, self.num_classes)

    def similarity(self, embedding: Tensor) -> Tensor:
        return _cosine(embedding, self.centers)

    def num_columns(self, label: Tensor, training: bool = False) -> Tensor | int:
        if not self._samples(training):
            return super().num_columns(label, training)
        (everyone,), _ = gather_batch(super().columns(label))
        return ops.shape(everyone)[0] + self.num_sample

    def penalty(self, norm: Tensor, label: Tensor) -> Tensor | None:
        return self.head.penalty(norm, label)

    def _samples(self, training: bool) -> bool:
        return bool(training) and self.num_sample < self.num_classes

    def _draw(self, label: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the class of every column, int32 [B + S], and whether it counts, bool [B + S]."""
        (everyone,), _ = gather_batch(super().columns(label))
        position = ops.arange(ops.shape(everyone)[0], dtype=shapes.LABEL)
        is_first = ops.equal(first_column(everyone, everyone, self.num_classes), position)
        others = sample_classes(self.num_classes, self.num_sample, self.seed_generator)
        is_new = ops.logical_not(is_in(others, everyone))
        num_free = self.num_sample - ops.sum(ops.cast(is_first, shapes.LABEL))
        is_free = ops.cumsum(ops.cast(is_new, shapes.LABEL)) <= num_free
        classes = ops.concatenate([ops.clip(everyone, 0, self.num_classes - 1), others])
        return classes, ops.concatenate([is_first, ops.logical_and(is_new, is_free)])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rule": self.rule if isinstance(self.rule, str) else dict(self.rule),
            "sample_rate": self.sample_rate,
            "margin": self.margin,
            "seed": self.seed,
        }


def _cosine(embedding: Tensor, rows: Tensor) -> Tensor:
    """Cosine of every embedding with every class: float32 [B, D], [N, D] -> [B, N]."""
    unit_rows, _ = l2_normalize(rows)
    return ops.clip(ops.matmul(embedding, ops.transpose(unit_rows)), -1.0, 1.0)


def _make_rule(rule: str | Mapping[str, Any], given: Mapping[str, Any]) -> MarginHead:
    described = {"name": rule} if isinstance(rule, str) else dict(rule)
    cls, defaults = registry.get("head", described.pop("name"))
    if any(getattr(cls, name) is not getattr(MarginHead, name) for name in _NOT_A_RULE):
        raise ValueError(
            "rule must be a head that acts on one plain cosine per class, such as 'cosface', "
            f"'arcface' or 'adaface'. Received: {rule!r}."
        )
    # Of the class itself, Python 3.11.2 gives that of Keras' `__new__`.
    known = inspect.signature(cls.__init__).parameters
    given = {key: value for key, value in given.items() if key in known}
    return cls(**{**defaults, **described, **given}, name="rule")
