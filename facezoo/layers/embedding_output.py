"""The last layer of every model: feature map to unit embedding and norm, in float32."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from facezoo import registry, shapes
from facezoo.layers.conv_bn import batch_norm as make_batch_norm
from facezoo.layers.maxout import MaxoutDense
from facezoo.ops import Tensor, l2_normalize

POOLINGS = ("average", "flatten", "bn_flatten", "depthwise")
BATCH_NORMS = (False, True, "fixed", "center")
# Networks of these outputs were published with batch normalisation behind the dense layer.
_NORMALIZED = {"bn_flatten": "fixed", "depthwise": True}


@registry.register("layer")
@keras.saving.register_keras_serializable("facezoo")
class EmbeddingOutput(keras.layers.Layer):
    """Pools a feature map, projects it to D numbers and splits them into direction and length.

    Pooling, hidden layers, dropout, dense layer, batch normalisation, unit length; every part but
    the pooling and the dense layer is optional.

    Args:
        embedding_dim: D, at least 1; published: 64, 128, 256, 512.
        pooling: `"average"`: global average (FaceNet NN2, Inception-ResNet).
            `"flatten"`: the whole map (FaceNet NN1).
            `"bn_flatten"`: batch normalisation of the map, then the whole of it (ArcFace's E).
            `"depthwise"`: one learned weight per position and channel, with batch normalisation
            (MobileFaceNet's global depthwise convolution).
        batch_norm: What follows the dense layer: False, True (batch normalisation with gamma and
            beta), `"fixed"` (its gamma is held at 1) or `"center"` (it has beta alone). None for
            what goes with the pooling: nothing behind `"average"` and `"flatten"`, `"fixed"` behind
            `"bn_flatten"`, True behind `"depthwise"`. Margin heads train better with it.
        hidden_units: Widths of dense layers between the pooling and the last dense layer.
        maxout: Pieces of the hidden layers' maxout activation; 1 for ReLU.
        dropout: Share of the last dense layer's inputs that are dropped in training, in [0, 1).
        epsilon: Of every batch normalisation here.

    Call:
        feature_map: float [B, h, w, C].

    Returns:
        `{"embedding": float32 unit [B, D], "norm": float32 [B]}`.

    Raises:
        ValueError: An argument is out of range.

    Numerics:
        float32 under every precision policy. A zero feature vector gives a zero embedding. The last
        dense layer has no bias in front of batch normalisation, which would cancel it; behind
        `"bn_flatten"` it has one all the same, as published.

    Source:
        FaceNet, arXiv 1503.03832, tables 1 and 2; ArcFace, arXiv 1801.07698, section 3.1 (E);
        MobileFaceNets, arXiv 1804.07573, section 3.2.
    """

    SOURCE: ClassVar[str] = "FaceNet, arXiv 1503.03832, tables 1 and 2; ArcFace; MobileFaceNets"
    TINY: ClassVar[dict[str, Any]] = {"embedding_dim": 4}

    def __init__(
        self,
        embedding_dim: int = 128,
        pooling: str = "average",
        batch_norm: bool | str | None = None,
        hidden_units: Sequence[int] = (),
        maxout: int = 1,
        dropout: float = 0.0,
        epsilon: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = shapes.FLOAT
        super().__init__(**kwargs)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {POOLINGS}. Received: {pooling!r}.")
        self.pooling = pooling
        self.batch_norm = _NORMALIZED.get(pooling, False) if batch_norm is None else batch_norm
        if self.batch_norm not in BATCH_NORMS:
            raise ValueError(f"batch_norm must be one of {BATCH_NORMS}. Received: {batch_norm!r}.")
        for name, value in (
            ("embedding_dim", embedding_dim),
            ("maxout", maxout),
            *(("hidden_units", units) for units in hidden_units),
        ):
            if int(value) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {value!r}.")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1). Received: {dropout!r}.")
        self.embedding_dim = int(embedding_dim)
        self.hidden_units = tuple(int(units) for units in hidden_units)
        self.maxout = int(maxout)
        self.dropout = float(dropout)
        self.epsilon = float(epsilon)

    def build(self, feature_shape: tuple[int | None, ...]) -> None:
        float32 = {"dtype": shapes.FLOAT}
        self.input_bn = self.depthwise = self.depthwise_bn = self.bn = None
        if self.pooling == "bn_flatten":
            self.input_bn = self._batch_norm(True, "input_bn")
        if self.pooling == "depthwise":
            self.depthwise = keras.layers.DepthwiseConv2D(
                tuple(feature_shape[1:3]), use_bias=False, name="depthwise", **float32
            )
            self.depthwise_bn = self._batch_norm(True, "depthwise_bn")
        self.hidden = [self._hidden(*one) for one in enumerate(self.hidden_units)]
        self.drop = keras.layers.Dropout(self.dropout, name="dropout", **float32)
        use_bias = not self.batch_norm or self.pooling == "bn_flatten"
        self.dense = keras.layers.Dense(
            self.embedding_dim, use_bias=use_bias, name="dense", **float32
        )
        if self.batch_norm:
            scale = False if self.batch_norm == "center" else self.batch_norm
            self.bn = self._batch_norm(scale, "bn")
        self._build_sublayers(feature_shape)
        super().build(feature_shape)

    def _batch_norm(self, scale: bool | str, name: str) -> keras.layers.Layer:
        return make_batch_norm(self.epsilon, scale, name, shapes.FLOAT)

    def _hidden(self, index: int, units: int) -> keras.layers.Layer:
        options = {"dtype": shapes.FLOAT, "name": f"hidden{index}"}
        if self.maxout > 1:
            return MaxoutDense(units, self.maxout, **options)
        return keras.layers.Dense(
            units, activation="relu", kernel_initializer="he_normal", **options
        )

    def _build_sublayers(self, feature_shape: tuple[int | None, ...]) -> None:
        for layer in (self.input_bn, self.depthwise):
            if layer is not None:
                layer.build(feature_shape)
        height, width, channels = feature_shape[1:]
        if self.depthwise_bn is not None:
            self.depthwise_bn.build((None, 1, 1, channels))
        size = height * width * channels if "flatten" in self.pooling else channels
        for layer, units in zip(self.hidden, self.hidden_units, strict=True):
            layer.build((None, size))
            size = units
        self.dense.build((None, size))
        if self.bn is not None:
            self.bn.build((None, self.embedding_dim))

    def call(self, feature_map: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        features = self._pool(ops.cast(feature_map, shapes.FLOAT), training)
        for layer in self.hidden:
            features = layer(features)
        features = self.dense(self.drop(features, training=training))
        if self.bn is not None:
            features = self.bn(features, training=training)
        embedding, norm = l2_normalize(features)
        return {shapes.EMBEDDING: embedding, shapes.NORM: norm}

    def _pool(self, feature_map: Tensor, training: bool | None) -> Tensor:
        if self.pooling == "average":
            return ops.mean(feature_map, axis=(1, 2))
        if self.input_bn is not None:
            feature_map = self.input_bn(feature_map, training=training)
        if self.depthwise is not None:
            feature_map = self.depthwise_bn(self.depthwise(feature_map), training=training)
        # The size is known: a batch of unknown length keeps a known width.
        size = 1
        for length in feature_map.shape[1:]:
            size *= length
        return ops.reshape(feature_map, (-1, size))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "pooling": self.pooling,
            "batch_norm": self.batch_norm,
            "hidden_units": list(self.hidden_units),
            "maxout": self.maxout,
            "dropout": self.dropout,
            "epsilon": self.epsilon,
        }
