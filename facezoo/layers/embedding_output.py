"""The last layer of every model: feature map to unit embedding and norm, in float32."""

from typing import Any, ClassVar

import keras
from keras import ops

from facezoo import registry, shapes
from facezoo.ops import Tensor, l2_normalize

POOLINGS = ("average", "depthwise")


@registry.register("layer")
@keras.saving.register_keras_serializable("facezoo")
class EmbeddingOutput(keras.layers.Layer):
    """Pools a feature map, projects it to D numbers and splits them into direction and length.

    Args:
        embedding_dim: D, at least 1.
        pooling: `"average"`: global average, dense layer with bias (FaceNet).
            `"depthwise"`: one learned weight per position and channel and batch normalisation,
            then a dense layer without bias (MobileFaceNet's global depthwise convolution).
        batch_norm: Whether batch normalisation follows the dense layer. Margin heads train better
            with it; FaceNet as published has none.

    Call:
        feature_map: float [B, h, w, C].

    Returns:
        `{"embedding": float32 unit [B, D], "norm": float32 [B]}`.

    Raises:
        ValueError: An argument is out of range.

    Numerics:
        float32 under every precision policy. A zero feature vector gives a zero embedding.

    Source:
        FaceNet, arXiv 1503.03832, section 3.3; MobileFaceNets, arXiv 1804.07573, section 3.2.
    """

    SOURCE: ClassVar[str] = "FaceNet, arXiv 1503.03832, section 3.3"
    TINY: ClassVar[dict[str, Any]] = {"embedding_dim": 4}

    def __init__(
        self,
        embedding_dim: int = 128,
        pooling: str = "average",
        batch_norm: bool | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = shapes.FLOAT
        super().__init__(**kwargs)
        if int(embedding_dim) < 1:
            raise ValueError(f"embedding_dim must be at least 1. Received: {embedding_dim!r}.")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {POOLINGS}. Received: {pooling!r}.")
        self.embedding_dim = int(embedding_dim)
        self.pooling = pooling
        self.batch_norm = pooling == "depthwise" if batch_norm is None else bool(batch_norm)

    def build(self, feature_shape: tuple[int | None, ...]) -> None:
        channels = feature_shape[-1]
        self.pool = keras.Sequential(self._pool_layers(feature_shape), name="pool")
        self.pool.build(feature_shape)
        self.dense = keras.layers.Dense(
            self.embedding_dim, use_bias=self.pooling == "average", dtype=shapes.FLOAT, name="dense"
        )
        self.dense.build((None, channels))
        if self.batch_norm:
            self.bn = keras.layers.BatchNormalization(
                epsilon=1e-5, momentum=0.9, dtype=shapes.FLOAT, name="bn"
            )
            self.bn.build((None, self.embedding_dim))
        super().build(feature_shape)

    def _pool_layers(self, feature_shape: tuple[int | None, ...]) -> list[keras.layers.Layer]:
        if self.pooling == "average":
            return [keras.layers.GlobalAveragePooling2D(dtype=shapes.FLOAT)]
        whole = tuple(feature_shape[1:3])
        return [
            keras.layers.DepthwiseConv2D(whole, use_bias=False, dtype=shapes.FLOAT),
            keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, dtype=shapes.FLOAT),
            keras.layers.Flatten(dtype=shapes.FLOAT),
        ]

    def call(self, feature_map: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        features = self.pool(ops.cast(feature_map, shapes.FLOAT), training=training)
        features = self.dense(features)
        if self.batch_norm:
            features = self.bn(features, training=training)
        embedding, norm = l2_normalize(features)
        return {shapes.EMBEDDING: embedding, shapes.NORM: norm}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "pooling": self.pooling,
            "batch_norm": self.batch_norm,
        }
