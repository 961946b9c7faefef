"""FaceModel: a backbone, an embedding and, while a loss is computed, a head and more."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from facezoo import presets, shapes
from facezoo.contracts import AuxiliaryLoss, Backbone, EmbeddingLoss, MarginHead
from facezoo.data.preprocessing import Preprocessing
from facezoo.keras_archive import forget_time
from facezoo.layers.embedding_output import EmbeddingOutput
from facezoo.layers.norm_gate import NormGate
from facezoo.models.class_accuracy import ClassAccuracy
from facezoo.models.description import describe, make_parts
from facezoo.models.per_sample import weight_of_kept, weighted_mean
from facezoo.models.replica_safe import ReplicaSafeModel
from facezoo.models.telemetry import TripletTelemetry
from facezoo.observation import observing
from facezoo.ops import Tensor
from facezoo.triplets import TripletBase

_WEIGHTS = "model.keras"


@keras.saving.register_keras_serializable("facezoo")
class FaceModel(ReplicaSafeModel):
    """Standardised faces in, unit embeddings out.

    Args:
        backbone: Image to feature map.
        embedding: Feature map to embedding and norm.
        head: Embedding to logits, for a loss on classes. Not part of `call`.
        preprocessing: How pixels become the input; saved with the weights. The default is the
            backbone's image size with fixed standardisation.
        auxiliary_loss: Added to the compiled loss, times its `weight`; or the only loss, after
            `compile(loss=None)`. Not part of `call`.
        gate: Leaves samples whose features are too short out of the mean of the loss. Not part of
            `call`.
        parts: Layers of a subclass, by attribute; once the model is built it takes none.

    Call:
        image: float32 [B, H, W, 3], standardised by `preprocessing.standardize`.

    Returns:
        `{"embedding": float32 unit [B, D], "norm": float32 [B]}`.

    Raises:
        ValueError: `preprocessing` makes images of another size than the backbone takes, or `image`
            has another shape; or, with a gate, a loss that looks at pairs.

    Example:
        >>> model = FaceModel.from_preset("mobilefacenet")
        >>> model.preprocessing.image_shape
        (112, 112, 3)
    """

    def __init__(
        self,
        backbone: Backbone,
        embedding: EmbeddingOutput,
        head: MarginHead | None = None,
        preprocessing: Preprocessing | None = None,
        auxiliary_loss: AuxiliaryLoss | None = None,
        gate: NormGate | None = None,
        parts: Mapping[str, keras.layers.Layer] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        height, width, _ = backbone.image_shape
        self.preprocessing = preprocessing or Preprocessing(height, width)
        if self.preprocessing.image_shape != tuple(backbone.image_shape):
            raise ValueError(
                "preprocessing must make images of the backbone's size. "
                f"Expected: {tuple(backbone.image_shape)}. "
                f"Received: {self.preprocessing.image_shape}."
            )
        self.backbone = backbone
        self.embedding = embedding
        self.head = head
        self.auxiliary_loss = auxiliary_loss
        self.gate = gate
        self.class_accuracy = None if head is None else ClassAccuracy(head.label_ranges)
        self.triplet_telemetry = TripletTelemetry()
        for name, part in (parts or {}).items():
            setattr(self, name, part)
        self.build((None, *backbone.image_shape))

    def build(self, image_shape: tuple[int | None, ...]) -> None:
        del image_shape  # The backbone knows its own.
        if not self.embedding.built:
            self.embedding.build(self.backbone.output_shape)
        for part in (self.head, self.auxiliary_loss, self.gate):
            if part is not None and not part.built:
                part.build((None, self.embedding.embedding_dim))
        self.built = True

    def call(self, image: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        _check_image(image, self.backbone.image_shape)
        return self.embedding(self.backbone(image, training=training), training=training)

    def compute_loss(
        self,
        x: Tensor | None = None,
        y: Tensor | None = None,
        y_pred: Mapping[str, Tensor] | None = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Computes the compiled loss, on logits or on the embedding, and adds the auxiliary one.

        Args:
            x: float32 [B, H, W, 3].
            y: int32 [B], labels.
            y_pred: What `call` returned.
            sample_weight: float32 [B] or None.
            training: Whether gradients will be taken.

        Returns:
            Scalar.
        """
        if self.gate is not None:
            sample_weight = self._gated_weight(y_pred, sample_weight, training)
        if self.auxiliary_loss is None:
            return self._compiled_loss(x, y, y_pred, sample_weight, training)
        embedding, norm = y_pred[shapes.EMBEDDING], y_pred[shapes.NORM]
        values = self.auxiliary_loss(embedding, norm, y, training=training)
        loss = self.auxiliary_loss.weight * weighted_mean(values, sample_weight)
        if self.loss is None and not self.losses:
            return loss  # Keras would miss the compiled one.
        return loss + self._compiled_loss(x, y, y_pred, sample_weight, training)

    def _gated_weight(
        self, y_pred: Mapping[str, Tensor], sample_weight: Tensor | None, training: bool
    ) -> Tensor:
        if isinstance(self.loss, EmbeddingLoss):
            raise ValueError(
                "A gate needs a loss that judges every sample by itself, such as a cross-entropy "
                f"on a head's logits. Received: {type(self.loss).__name__}, which looks at pairs."
            )
        features = y_pred[shapes.EMBEDDING] * y_pred[shapes.NORM][:, None]
        weight = weight_of_kept(self.gate(features, training=training)["is_kept"])
        return weight if sample_weight is None else weight * sample_weight

    def _compiled_loss(
        self,
        x: Tensor,
        y: Tensor,
        y_pred: Mapping[str, Tensor],
        sample_weight: Tensor | None,
        training: bool,
    ) -> Tensor:
        embedding, norm = y_pred[shapes.EMBEDDING], y_pred[shapes.NORM]
        if not self._trains_head():
            observer = functools.partial(self.triplet_telemetry.update_state, training=training)
            with observing(observer if self._trains_triplets() else None):
                return super().compute_loss(x, y, embedding, sample_weight, training=training)
        logits = self.head(embedding, norm, y, training=training)
        column = self.head.columns(y, training=training)
        correct = keras.ops.equal(keras.ops.argmax(logits, axis=1), column)
        self.class_accuracy.update_state(y, correct)
        loss = super().compute_loss(x, column, logits, sample_weight, training=training)
        penalty = self.head.penalty(norm, y)
        return loss if penalty is None else loss + weighted_mean(penalty, sample_weight)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        idle = [] if self._trains_head() else [self.class_accuracy]
        idle += [] if self._trains_triplets() else [self.triplet_telemetry]
        return [metric for metric in super().metrics if all(metric is not one for one in idle)]

    def _trains_head(self) -> bool:
        return not (self.head is None or self.loss is None or isinstance(self.loss, EmbeddingLoss))

    def _trains_triplets(self) -> bool:
        # Such a loss may be wrapped in another one.
        return isinstance(getattr(self.loss, "loss", self.loss), TripletBase)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "backbone": serialize(self.backbone),
            "embedding": serialize(self.embedding),
            "head": None if self.head is None else serialize(self.head),
            "auxiliary_loss": self.auxiliary_loss and serialize(self.auxiliary_loss),
            "gate": self.gate and serialize(self.gate),
            "preprocessing": self.preprocessing.get_config(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FaceModel":
        """Makes the model, with fresh weights, from what `get_config` returned."""
        parts = {
            key: keras.saving.deserialize_keras_object(config.get(key))
            for key in ("backbone", "embedding", "head", "auxiliary_loss", "gate")
        }
        preprocessing = Preprocessing(**config["preprocessing"])
        return cls(**{**config, **parts, "preprocessing": preprocessing})

    @classmethod
    def from_preset(cls, preset: str | Path) -> "FaceModel":
        """Makes the model of a preset, with its weights if it has any.

        Args:
            preset: A built-in name or a preset folder.

        Raises:
            ValueError: No such preset, or weights bound to another preprocessing.
        """
        content = presets.load(preset)
        if content["weights"] is None:
            return cls(**make_parts(content))
        model = keras.models.load_model(content["weights"])
        expected = Preprocessing(**content["preprocessing"])
        if model.preprocessing != expected:
            raise ValueError(
                f"The weights of preset {str(preset)!r} are bound to another preprocessing. "
                f"Expected: {expected}. Received: {model.preprocessing}. "
                "Use the preset.json that was saved with them."
            )
        return model

    def save_preset(self, folder: str | Path, **details: Any) -> None:
        """Writes `model.keras` and `preset.json`, which `from_preset(folder)` reads.

        Args:
            folder: Made if it is not there.
            details: Fields of preset.json that the model does not know: `thresholds`,
                `crop_statistics`, `card`.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.save(folder / _WEIGHTS)
        forget_time(folder / _WEIGHTS)
        presets.save(folder, {**describe(self), "weights": _WEIGHTS, **details})


def _check_image(image: Tensor, expected: Sequence[int]) -> None:
    shape = tuple(image.shape)
    known = zip(shape[1:], expected, strict=False)
    if len(shape) != 4 or any(size not in (None, wanted) for size, wanted in known):
        height, width, channels = expected
        raise ValueError(
            f"image must be float [B, {height}, {width}, {channels}], as this model's "
            f"preprocessing makes it. Received: shape {shape}. Resize the pictures to "
            f"{height} x {width}, or make the model with image_shape=(height, width, {channels})."
        )
