"""FaceNet's NN1: a Zeiler & Fergus network with 1x1 convolutions in between."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras

from facezoo import registry
from facezoo.contracts import Backbone
from facezoo.layers.conv_bn import conv_bn
from facezoo.layers.image_input import image_input
from facezoo.layers.local_response_normalization import LocalResponseNormalization

# Filters of the 1x1 and of the 3x3 convolution, whether pooling follows: conv3 to conv6 of table 1.
_STAGES = ((192, 384, True), (384, 256, False), (256, 256, False), (256, 256, True))


@registry.register("backbone")
@keras.saving.register_keras_serializable("facezoo")
class NN1(Backbone):
    """22 layers with local response normalisation, and two wide maxout layers behind them.

    Args:
        stages: Rows (filters of the 1x1, filters of the 3x3, pool behind it) from conv3 on.
        stem: Filters of conv1 and conv2a, and of conv2.
        image_shape: (height, width, channels), pixels, 17 or more a side.
        use_bias: Whether convolutions have a bias, as published.
        use_batch_norm: Whether batch normalisation follows each convolution; the paper has none.

    Call:
        image: float [B, H, W, 3].

    Returns:
        float [B, H / 32, W / 32, 256].

    Raises:
        ValueError: The image is too small or not RGB.

    Source:
        FaceNet, arXiv 1503.03832, table 1. Its row `concat` joins the two halves of a model that
        was trained on two machines: here, nothing. Constants of the response normalisation, which
        the paper does not give, as in NN2.
    """

    SOURCE: ClassVar[str] = "FaceNet, arXiv 1503.03832, table 1"
    TINY: ClassVar[Mapping[str, Any]] = {
        "stages": ((4, 8, True), (4, 8, False)),
        "stem": (4, 8),
        "image_shape": (18, 25, 3),
    }
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"nn1": {}}
    EMBEDDING: ClassVar[Mapping[str, Any]] = {
        "pooling": "flatten",
        "hidden_units": (4096, 4096),
        "maxout": 2,
    }

    def __init__(
        self,
        stages: Sequence[Sequence[Any]] = _STAGES,
        stem: Sequence[int] = (64, 192),
        image_shape: tuple[int, int, int] = (220, 220, 3),
        use_bias: bool = True,
        use_batch_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        options = {"use_bias": use_bias, "use_batch_norm": use_batch_norm}
        # === Functional model ===
        image = image_input(image_shape, smallest=17)
        x = conv_bn(image, stem[0], 7, strides=2, name="conv1", **options)
        x = keras.layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
        x = LocalResponseNormalization(name="norm1")(x)
        x = conv_bn(x, stem[0], 1, name="conv2a", **options)
        x = conv_bn(x, stem[1], 3, name="conv2", **options)
        x = LocalResponseNormalization(name="norm2")(x)
        x = keras.layers.MaxPooling2D(3, 2, "same", name="pool2")(x)
        for number, (reduce, filters, pool) in enumerate(stages, start=3):
            x = conv_bn(x, reduce, 1, name=f"conv{number}a", **options)
            x = conv_bn(x, filters, 3, name=f"conv{number}", **options)
            if pool:
                x = keras.layers.MaxPooling2D(3, 2, "same", name=f"pool{number}")(x)
        super().__init__(inputs=image, outputs=x, **kwargs)
        # === Config ===
        self.stages = [list(row) for row in stages]
        self.stem = list(stem)
        self.image_shape = tuple(image_shape)
        self.use_bias = use_bias
        self.use_batch_norm = use_batch_norm

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "stages": self.stages,
            "stem": self.stem,
            "image_shape": list(self.image_shape),
            "use_bias": self.use_bias,
            "use_batch_norm": self.use_batch_norm,
        }
