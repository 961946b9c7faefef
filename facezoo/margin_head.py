"""The base of every head: class centres, cosines and the hooks in which one head is another."""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from facezoo import shapes
from facezoo.ops import Tensor, cosine_logits


class MarginHead(keras.layers.Layer):
    """Owns the class centres; a subclass overrides the hooks in which it differs.

    `logits = scale * cosine(embedding, centers)`, except in the column of the sample's own class,
    where `target_cosine` makes the task harder. Most heads are that hook alone. The hooks in the
    order of a step: `columns`, `similarity`, `observe`, `target_cosine`, `other_cosines`,
    `penalty`; and, when weights are made, `centers_shape` and `build_state`.

    Args:
        num_classes: Number of identities C, at least 1.
        scale: Factor in front of the cosine, above 0; None for `norm`, the features' own length.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation.
        label: int [B] in [0, C). A label outside is masked: its row carries no margin. float32,
            which Keras makes of it while it builds a model under `tf.distribute`, is accepted.
        training: bool, whether running statistics move.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: `num_classes` or `scale` is out of range, or `label` is not int [B].

    Numerics:
        float32 under every precision policy; centres are normalised at each call.
    """

    SOURCE: ClassVar[str]
    TINY: ClassVar[Mapping[str, Any]]
    KNOWN_FAILURES: ClassVar[Mapping[str, str]] = {}

    def __init__(self, num_classes: int, scale: float | None = 64.0, **kwargs: Any) -> None:
        kwargs["dtype"] = shapes.FLOAT
        # Cast by hand in `call`: Keras would turn a float16 label into float32 unseen.
        super().__init__(autocast=False, **kwargs)
        if int(num_classes) < 1:
            raise ValueError(f"num_classes must be at least 1. Received: {num_classes!r}.")
        if scale is not None and not float(scale) > 0:
            raise ValueError(f"scale must be above 0. Received: scale={scale!r}.")
        self.num_classes = int(num_classes)
        self.scale = None if scale is None else float(scale)

    def build(self, embedding_shape: tuple[int | None, int]) -> None:
        self.centers = self.add_weight(
            shape=self.centers_shape(embedding_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=0.01),
            name="centers",
        )
        self.build_state()
        super().build(embedding_shape)

    def call(
        self, embedding: Tensor, norm: Tensor, label: Tensor, training: bool = False
    ) -> Tensor:
        column = self.columns(label, training)
        cosine = self.similarity(ops.cast(embedding, shapes.FLOAT))
        return self.logits(cosine, ops.cast(norm, shapes.FLOAT), column, training)

    def logits(self, cosine: Tensor, norm: Tensor, column: Tensor, training: bool) -> Tensor:
        """Turns cosines into logits: margin, then scale.

        Args:
            cosine: float32 [B, N], with any N classes.
            norm: float32 [B].
            column: int32 [B], where the sample's own class stands; outside [0, N) for no margin.
            training: Whether running statistics move.

        Returns:
            float32 [B, N].
        """
        num_columns = ops.shape(cosine)[1]
        column, norm = column[:, None], norm[:, None]
        is_own = ops.equal(column, ops.arange(num_columns, dtype=shapes.LABEL)[None, :])
        is_known = ops.logical_and(column >= 0, column < num_columns)
        # A masked sum is faster than a gather, whose gradient is a scatter into [B, N].
        own = ops.sum(ops.where(is_own, cosine, 0.0), axis=1, keepdims=True)
        if training:
            self.observe(ops.stop_gradient(own), ops.stop_gradient(norm), is_known)
        # Nothing is above 1: in a masked row no column counts as harder than the own one.
        target = ops.where(is_known, self.target_cosine(own, norm), 1.0)
        logits = ops.where(is_own, target, self.other_cosines(cosine, target))
        return logits * (norm if self.scale is None else self.scale)

    def columns(self, label: Tensor, training: bool = False) -> Tensor:
        """The hook: where each sample's own class stands in the logits; its label by default.

        Args:
            label: int [B].
            training: As in the call.

        Returns:
            int32 [B], what a sparse cross-entropy on the logits takes for labels.
        """
        del training
        return _check_label(label)

    def num_columns(self, label: Tensor, training: bool = False) -> Tensor | int:
        """The hook: how many columns the logits have; C by default. Arguments as for `columns`."""
        del label, training
        return self.num_classes

    @property
    def label_ranges(self) -> Mapping[str, tuple[int, int]]:
        """The hook: first label and end of each data set, by name; empty if there is only one."""
        return {}

    def similarity(self, embedding: Tensor) -> Tensor:
        """The hook: where the cosines come from, float32 [B, D] -> [B, C]."""
        return cosine_logits(embedding, self.centers)

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        """The hook: what the cosine with the own class becomes; unchanged by default.

        Args:
            cosine: float32 [B, 1].
            norm: float32 [B, 1].

        Returns:
            float32 [B, 1], nowhere above `cosine`.
        """
        del norm
        return cosine

    def other_cosines(self, cosine: Tensor, target: Tensor) -> Tensor:
        """The hook: what the cosines with other classes become; unchanged by default.

        Args:
            cosine: float32 [B, N]; the sample's own column is replaced afterwards.
            target: float32 [B, 1], what `target_cosine` returned; 1 in a masked row.

        Returns:
            float32 [B, N].
        """
        del target
        return cosine

    def observe(self, cosine: Tensor, norm: Tensor, is_known: Tensor) -> None:
        """The hook: moves running statistics before they are used, in training only.

        Args:
            cosine: float32 [B, 1], with the own class, without gradient.
            norm: float32 [B, 1], without gradient.
            is_known: bool [B, 1], whether the sample's class is one of the columns.
        """

    def penalty(self, norm: Tensor, label: Tensor) -> Tensor | None:
        """The hook: a further loss per sample, float32 [B], that `FaceModel` adds.

        Args:
            norm: float32 [B].
            label: int [B].
        """
        del norm, label

    def centers_shape(self, embedding_dim: int) -> tuple[int, int]:
        """The hook: shape of `centers`."""
        return (embedding_dim, self.num_classes)

    def build_state(self) -> None:
        """The hook: makes further weights, such as running statistics."""

    def add_statistic(self, name: str, initial: float) -> keras.Variable:
        """Makes a scalar that `observe` moves, saved with the head, one for all replicas."""
        return self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(initial),
            trainable=False,
            aggregation="mean",
            name=name,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "scale": self.scale}


class LinearHead(MarginHead):
    """A linear classifier: `logits = scale * embedding @ centers + bias`, with any centres.

    Args, Call, Returns and Raises: see `MarginHead`; there is no margin.
    """

    def build_state(self) -> None:
        self.bias = self.add_weight(shape=(self.num_classes,), initializer="zeros", name="bias")

    def similarity(self, embedding: Tensor) -> Tensor:
        return ops.matmul(embedding, self.centers)

    def logits(self, cosine: Tensor, norm: Tensor, column: Tensor, training: bool) -> Tensor:
        return super().logits(cosine, norm, column, training) + self.bias


def _check_label(label: Tensor) -> Tensor:
    label = ops.convert_to_tensor(label)
    dtype = keras.backend.standardize_dtype(label.dtype)
    if len(label.shape) != 1 or dtype in ("float16", "bfloat16"):
        raise ValueError(
            "label must be int [B], one class per sample; 16-bit floats cannot tell classes above "
            f"256 apart. Received: label with shape {tuple(label.shape)} and dtype {dtype}. "
            "Flatten [B, 1]; take the argmax of one-hot rows."
        )
    return ops.cast(label, shapes.LABEL)
