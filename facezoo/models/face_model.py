"""FaceModel: a backbone, an embedding and, while a loss is computed, a head."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from facezoo import presets, shapes
from facezoo.contracts import Backbone, EmbeddingLoss, MarginHead
from facezoo.data.preprocessing import Preprocessing
from facezoo.keras_archive import forget_time
from facezoo.layers.embedding_output import EmbeddingOutput
from facezoo.models.parts import create_backbone, create_embedding, create_head, variant_name
from facezoo.ops import Tensor

_WEIGHTS = "model.keras"
# Arguments of EmbeddingOutput that have no field of their own in preset.json.
_EMBEDDING_OPTIONS = ("hidden_units", "maxout", "dropout", "epsilon")


@keras.saving.register_keras_serializable("facezoo")
class FaceModel(keras.Model):
    """Standardised faces in, unit embeddings out.

    Args:
        backbone: Image to feature map.
        embedding: Feature map to embedding and norm.
        head: Embedding to logits, for a loss on classes. Not part of `call`.
        preprocessing: How pixels become the input; saved with the weights. The default is the
            backbone's image size with fixed standardisation.

    Call:
        image: float32 [B, H, W, 3], standardised by `preprocessing.standardize`.

    Returns:
        `{"embedding": float32 unit [B, D], "norm": float32 [B]}`.

    Raises:
        ValueError: `preprocessing` makes images of another size than the backbone takes, or `image`
            has another shape.

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
        self.class_accuracy = keras.metrics.Mean("class_accuracy") if head is not None else None
        self.build((None, *backbone.image_shape))

    def build(self, image_shape: tuple[int | None, ...]) -> None:
        del image_shape  # The backbone knows its own.
        if not self.embedding.built:
            self.embedding.build(self.backbone.output_shape)
        if self.head is not None and not self.head.built:
            self.head.build((None, self.embedding.embedding_dim))
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
        """Computes the compiled loss on logits, or on the embedding where it wants that.

        Args:
            x: float32 [B, H, W, 3].
            y: int32 [B], labels.
            y_pred: What `call` returned.
            sample_weight: float32 [B] or None.
            training: Whether gradients will be taken.

        Returns:
            Scalar.
        """
        prediction = y_pred[shapes.EMBEDDING]
        if self._trains_head():
            prediction = self.head(prediction, y_pred[shapes.NORM], y)
            correct = keras.ops.equal(keras.ops.argmax(prediction, axis=1), keras.ops.cast(y, int))
            self.class_accuracy.update_state(keras.ops.cast(correct, shapes.FLOAT))
        return super().compute_loss(x, y, prediction, sample_weight, training=training)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [
            metric
            for metric in super().metrics
            if metric is not self.class_accuracy or self._trains_head()
        ]

    def _trains_head(self) -> bool:
        return self.head is not None and not isinstance(self.loss, EmbeddingLoss)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "backbone": serialize(self.backbone),
            "embedding": serialize(self.embedding),
            "head": None if self.head is None else serialize(self.head),
            "preprocessing": self.preprocessing.get_config(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FaceModel":
        """Makes the model, with fresh weights, from what `get_config` returned."""
        parts = {
            key: keras.saving.deserialize_keras_object(config[key])
            for key in ("backbone", "embedding", "head")
        }
        return cls(
            **parts, preprocessing=Preprocessing(**config["preprocessing"]), name=config["name"]
        )

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
            return cls(**_fresh_parts(content))
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
            details: Fields of preset.json that the model does not know: `thresholds`, `card`.
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


def describe(model: FaceModel) -> dict[str, Any]:
    """Returns a model as a preset without weights: plain data that JSON can hold."""
    return {
        "name": model.name,
        "backbone": {
            "name": variant_name(model.backbone),
            "overrides": _arguments(model.backbone),
        },
        "embedding_dim": model.embedding.embedding_dim,
        "embedding_pooling": model.embedding.pooling,
        "embedding_batch_norm": model.embedding.batch_norm,
        "embedding_options": _options(model.embedding),
        "head": model.head and {"name": variant_name(model.head), **_arguments(model.head)},
        "preprocessing": model.preprocessing.get_config(),
        "weights": None,
        "thresholds": None,
        "card": None,
    }


def _options(embedding: EmbeddingOutput) -> dict[str, Any]:
    config = embedding.get_config()
    return {key: config[key] for key in _EMBEDDING_OPTIONS}


def _arguments(part: Backbone | MarginHead) -> dict[str, Any]:
    ours = part.get_config()
    return {key: value for key, value in ours.items() if key not in ("name", "trainable", "dtype")}


def _fresh_parts(preset: Mapping[str, Any]) -> dict[str, Any]:
    described, head = preset["backbone"], preset["head"]
    backbone = create_backbone(described["name"], **described["overrides"])
    return {
        "backbone": backbone,
        "embedding": create_embedding(
            backbone,
            {
                "embedding_dim": preset["embedding_dim"],
                "pooling": preset["embedding_pooling"],
                "batch_norm": preset["embedding_batch_norm"],
                **(preset["embedding_options"] or {}),
            },
        ),
        # A head without a number of classes waits for the data.
        "head": create_head(**head) if head and head.get("num_classes") else None,
        "preprocessing": Preprocessing(**preset["preprocessing"]),
        "name": backbone.name,
    }
