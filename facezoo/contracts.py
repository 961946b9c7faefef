"""What a Backbone, a MarginHead and an EmbeddingLoss are: the page a newcomer reads first.

A backbone turns images into a feature map and knows nothing of faces. `FaceModel` adds an
embedding layer, so that every model of the zoo answers `{"embedding": unit [B, D], "norm": [B]}`.
A head exists only while a loss is computed: it turns embeddings into logits.
An embedding loss needs no head: it looks at the distances inside the batch.

Every part declares `SOURCE` (paper and equation or table), `TINY` (arguments of its smallest
useful instance, which the test harness builds) and `KNOWN_FAILURES` ({check name: reason}).
"""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from facezoo import shapes
from facezoo.ops import Tensor, cosine_logits
from facezoo.replicas import gather_batch


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


class MarginHead(keras.layers.Layer):
    """Owns the class centres; a subclass overrides one hook, `target_cosine`.

    `logits = scale * cosine(embedding, centers)`, except in the column of the sample's own class,
    where `target_cosine` makes the task harder during training.

    Args:
        num_classes: Number of identities C, at least 1.
        scale: Factor in front of the cosine, above 0.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B], length before normalisation.
        label: int32 [B] in [0, C). A label outside is masked: its row carries no margin.

    Returns:
        logits, float32 [B, C].

    Raises:
        ValueError: `num_classes` or `scale` is out of range.

    Numerics:
        float32 under every precision policy; centres are normalised at each call.
    """

    SOURCE: ClassVar[str]
    TINY: ClassVar[Mapping[str, Any]]
    KNOWN_FAILURES: ClassVar[Mapping[str, str]] = {}

    def __init__(self, num_classes: int, scale: float = 64.0, **kwargs: Any) -> None:
        kwargs["dtype"] = shapes.FLOAT
        super().__init__(**kwargs)
        if int(num_classes) < 1:
            raise ValueError(f"num_classes must be at least 1. Received: {num_classes!r}.")
        if not float(scale) > 0:
            raise ValueError(f"scale must be above 0. Received: scale={scale!r}.")
        self.num_classes = int(num_classes)
        self.scale = float(scale)

    def build(self, embedding_shape: tuple[int | None, int]) -> None:
        self.centers = self.add_weight(
            shape=(embedding_shape[-1], self.num_classes),
            initializer=keras.initializers.RandomNormal(stddev=0.01),
            name="centers",
        )
        super().build(embedding_shape)

    def call(self, embedding: Tensor, norm: Tensor, label: Tensor) -> Tensor:
        cosine = cosine_logits(embedding, self.centers)
        is_target = ops.one_hot(ops.cast(label, shapes.LABEL), self.num_classes, dtype="bool")
        return self.scale * ops.where(is_target, self.target_cosine(cosine, norm[:, None]), cosine)

    def target_cosine(self, cosine: Tensor, norm: Tensor) -> Tensor:
        """The hook: what a cosine becomes in the target column; unchanged unless overridden.

        Args:
            cosine: float32 [B, C].
            norm: float32 [B, 1].

        Returns:
            float32 [B, C], nowhere above `cosine`.
        """
        del norm
        return cosine

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "scale": self.scale}


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

    @abc.abstractmethod
    def per_sample(self, label: Tensor, embedding: Tensor) -> Tensor:
        """The hook: the loss of every sample of the global batch.

        Args:
            label: [B], equal numbers for equal identities.
            embedding: float32 [B, D].

        Returns:
            float32 [B]; its mean is the loss.
        """


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
