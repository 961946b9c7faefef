"""What a Backbone, a MarginHead and a loss on embeddings are: the page a newcomer reads first.

A backbone turns images into a feature map and knows nothing of faces. `FaceModel` adds an
embedding layer, so that every model of the zoo answers `{"embedding": unit [B, D], "norm": [B]}`.
A head exists only while a loss is computed: it turns embeddings into logits (`margin_head.py`).
An embedding loss needs no head: it looks at the distances inside the batch. An auxiliary loss has
weights of its own, such as one centre per class, and is added to the compiled loss.

Every part declares `SOURCE` (paper and equation or table), `TINY` (arguments of its smallest
useful instance, which the test harness builds) and `KNOWN_FAILURES` ({check name: reason}).
"""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from facezoo import registry, shapes
from facezoo.margin_head import MarginHead
from facezoo.ops import Tensor
from facezoo.replicas import gather_batch

__all__ = ["AuxiliaryLoss", "Backbone", "EmbeddingLoss", "MarginHead", "MiningLoss", "PairLoss"]


class Backbone(keras.Model):
    """A functional Keras model: `image` float [B, H, W, 3] -> feature map float [B, h, w, C].

    A subclass builds its graph in `__init__`, hands it to `super().__init__(inputs=, outputs=)`,
    keeps each argument under its own name and returns all of them from `get_config`.
    `VARIANTS` maps each published architecture's name to the arguments that make it; `EMBEDDING`
    holds the arguments of `EmbeddingOutput` that the class was published with, and
    `VARIANT_EMBEDDING` those in which a variant differs.
    """

    SOURCE: ClassVar[str]
    TINY: ClassVar[Mapping[str, Any]]
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]]
    EMBEDDING: ClassVar[Mapping[str, Any]] = {}
    VARIANT_EMBEDDING: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    KNOWN_FAILURES: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Backbone":
        """Makes the backbone from what `get_config` returned."""
        return cls(**config)


class EmbeddingLoss(keras.losses.Loss, abc.ABC):
    """A loss on the distances inside the global batch; a subclass writes one hook, `per_sample`.

    Call:
        y_true: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        y_pred: float [B, D], embeddings.

    Returns:
        float32 per-sample values [B], which Keras then weights and reduces. A scalar would be
        multiplied by the number of replicas under `tf.distribute`.

    Raises:
        ValueError: `y_true` has another shape.

    Numerics:
        float32 under every precision policy; identities are told apart below 2**24. Under
        `tf.distribute` every replica looks at the global batch and answers for its own rows: exact
        for replicas with equally many rows (Keras gives every replica the same weight).
    """

    SOURCE: ClassVar[str]
    TINY: ClassVar[Mapping[str, Any]]
    KNOWN_FAILURES: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str, reduction: str | None = "sum_over_batch_size") -> None:
        super().__init__(name=name, reduction=reduction, dtype=shapes.FLOAT)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        label = _as_label(ops.convert_to_tensor(y_true))
        (label, embedding), own = gather_batch(label, ops.convert_to_tensor(y_pred))
        return self.per_sample(label, embedding)[own]

    @classmethod
    def get(cls, loss: "EmbeddingLoss | str | Mapping[str, Any]") -> "EmbeddingLoss":
        """Returns a loss of this kind: itself, or from its name, or from what Keras saved.

        Args:
            loss: A loss, its registry name for its defaults, or its serialised form.

        Raises:
            ValueError: The name is unknown, or the loss is of another kind.
        """
        if isinstance(loss, str):
            found, arguments = registry.get("loss", loss)
            loss = found(**arguments)
        elif isinstance(loss, Mapping):
            loss = keras.saving.deserialize_keras_object(dict(loss))
        if not isinstance(loss, cls):
            known = [name for name, one in registry.parts("loss").items() if issubclass(one, cls)]
            raise ValueError(
                f"loss must be of the kind {cls.__name__}, or a name: {', '.join(known)}. "
                f"Received: {loss!r}."
            )
        return loss

    @abc.abstractmethod
    def per_sample(self, label: Tensor, embedding: Tensor) -> Tensor:
        """The hook: the loss of every sample of the global batch.

        Args:
            label: [B], equal numbers for equal identities.
            embedding: float32 [B, D].

        Returns:
            float32 [B]; its mean is the loss.
        """


class MiningLoss(EmbeddingLoss):
    """An `EmbeddingLoss` that looks for its pairs itself; a subclass writes `per_sample_among`.

    It can then be told to leave impostor pairs out, as `within_sets` does.
    """

    def per_sample(self, label: Tensor, embedding: Tensor) -> Tensor:
        is_negative = ops.not_equal(label[:, None], label[None, :])
        return self.per_sample_among(label, embedding, is_negative)

    @abc.abstractmethod
    def per_sample_among(self, label: Tensor, embedding: Tensor, is_negative: Tensor) -> Tensor:
        """The hook: as `per_sample`, with the impostor pairs to look at, bool [B, B]."""


class PairLoss(MiningLoss):
    """A `MiningLoss` that judges an anchor by its own pairs; a subclass writes `per_anchor`.

    The candidates may then be others than the batch, such as the memory of `cross_batch_memory`.
    """

    def per_sample_among(self, label: Tensor, embedding: Tensor, is_negative: Tensor) -> Tensor:
        is_other = ops.logical_not(ops.eye(ops.shape(label)[0], dtype="bool"))
        is_positive = ops.logical_and(ops.equal(label[:, None], label[None, :]), is_other)
        return self.per_anchor(embedding, embedding, is_positive, is_negative)

    @abc.abstractmethod
    def per_anchor(
        self, anchor: Tensor, candidate: Tensor, is_positive: Tensor, is_negative: Tensor
    ) -> Tensor:
        """The hook: the loss of every anchor.

        Args:
            anchor: float32 [A, D].
            candidate: float32 [N, D].
            is_positive: bool [A, N], the genuine pairs to look at.
            is_negative: bool [A, N], the impostor pairs to look at.

        Returns:
            float32 [A]; 0 for an anchor without any pair.
        """


class AuxiliaryLoss(keras.layers.Layer, abc.ABC):
    """A loss with weights of its own, which `FaceModel` trains, saves and adds to the compiled one.

    A subclass writes one hook, `per_sample`. Running state is made with `add_state`.

    Args:
        weight: Factor in front of the loss, 0 or more.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation.
        label: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        training: bool, whether the state moves.

    Returns:
        float32 per-sample values [B], without the factor `weight`.

    Raises:
        ValueError: `weight` is out of range, or `label` has another shape.

    Numerics:
        float32 under every precision policy. Under `tf.distribute` every replica looks at the
        global batch and answers for its own rows, so that the state is the same on all of them.
    """

    SOURCE: ClassVar[str]
    TINY: ClassVar[Mapping[str, Any]]
    KNOWN_FAILURES: ClassVar[Mapping[str, str]] = {}

    def __init__(self, weight: float = 1.0, **kwargs: Any) -> None:
        kwargs["dtype"] = shapes.FLOAT
        super().__init__(**kwargs)
        if not 0.0 <= float(weight) < float("inf"):
            raise ValueError(f"weight must be 0 or more. Received: weight={weight!r}.")
        self.weight = float(weight)

    def call(
        self, embedding: Tensor, norm: Tensor, label: Tensor, training: bool = False
    ) -> Tensor:
        label = ops.cast(_as_label(ops.convert_to_tensor(label)), shapes.LABEL)
        (embedding, norm, label), own = gather_batch(embedding, norm, label)
        return self.per_sample(embedding, norm, label, training)[own]

    @abc.abstractmethod
    def per_sample(self, embedding: Tensor, norm: Tensor, label: Tensor, training: bool) -> Tensor:
        """The hook: the loss of every sample of the global batch.

        Args:
            embedding: float32 [B, D].
            norm: float32 [B].
            label: int32 [B].
            training: Whether the state moves; it depends on the arguments alone.

        Returns:
            float32 [B].
        """

    def add_state(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: str = "zeros",
        dtype: str | None = None,
    ) -> keras.Variable:
        """Makes a weight that `per_sample` moves itself: no gradient reaches it."""
        # Every replica moves it alike.
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=False,
            aggregation="only_first_replica",
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}


def _as_label(y_true: Tensor) -> Tensor:
    shape = tuple(y_true.shape)
    if len(shape) == 2 and shape[1] is not None:
        return y_true[:, 0] if shape[1] == 1 else ops.argmax(y_true, axis=1)
    if len(shape) != 1:
        raise ValueError(
            "y_true must hold identities as [B] or [B, 1], or one-hot as [B, C] with C known. "
            f"Received: y_true with shape {shape}."
        )
    return y_true
