"""FaceNet's Inception networks NN2, NN3, NN4, NNS1, NNS2 and OpenFace's smaller NN4s."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras

from facezoo import registry
from facezoo.contracts import Backbone
from facezoo.layers.conv_bn import conv_bn
from facezoo.layers.image_input import image_input
from facezoo.layers.inception import InceptionRow, inception_block, scale_width
from facezoo.layers.local_response_normalization import LocalResponseNormalization

_3A = InceptionRow("3a", 64, 96, 128, 16, 32, "max", 32)
_3B = InceptionRow("3b", 64, 96, 128, 32, 64, "l2", 64)
_3C = InceptionRow("3c", 0, 128, 256, 32, 64, "max", 0, 2)
_4A = InceptionRow("4a", 256, 96, 192, 32, 64, "l2", 128)
_4B = InceptionRow("4b", 224, 112, 224, 32, 64, "l2", 128)
_4C = InceptionRow("4c", 192, 128, 256, 32, 64, "l2", 128)
_4D = InceptionRow("4d", 160, 144, 288, 32, 64, "l2", 128)
_4E = InceptionRow("4e", 0, 160, 256, 64, 128, "max", 0, 2)
_NN2_5A = InceptionRow("5a", 384, 192, 384, 48, 128, "l2", 128)
_NN2_5B = InceptionRow("5b", 384, 192, 384, 48, 128, "max", 128)
_NN4_5A = InceptionRow("5a", 384, 192, 384, 0, 0, "l2", 128)
_NN4_5B = InceptionRow("5b", 384, 192, 384, 0, 0, "max", 128)
_SMALL2_5A = InceptionRow("5a", 256, 96, 384, 0, 0, "l2", 96)
_SMALL2_5B = InceptionRow("5b", 256, 96, 384, 0, 0, "max", 96)

_NN2 = (_3A, _3B, _3C, _4A, _4B, _4C, _4D, _4E, _NN2_5A, _NN2_5B)
_NN4 = (_3A, _3B, _3C, _4A, _4B, _4C, _4D, _4E, _NN4_5A, _NN4_5B)
_SMALL1 = (_3A, _3B, _3C, _4A, _4B, _4E, _NN4_5A, _NN4_5B)
_SMALL2 = (_3A, _3B, _3C, _4A, _4E, _SMALL2_5A, _SMALL2_5B)
_OPENFACE = {"image_shape": (96, 96, 3), "use_bias": True, "l2_pool_padding": "openface"}
# The network halves the image five times, rounding up: the last map needs two rows to have
# something to pool, and three where a 3x3 window must fit without padding.
_SMALLEST_SIDE = {"same": 17, "openface": 65}


@registry.register("backbone")
@keras.saving.register_keras_serializable("facezoo")
class NN2(Backbone):
    """GoogLeNet-style network with L2 pooling; NN3 and NN4 are the same for smaller images.

    `nns1` and `nns2` are reconstructions: the paper gives their input size, parameters and
    multiply-adds, and no layers. Here they are NN2 made narrower, with a hidden dense layer in
    place of the average pooling, which meets all three.

    Args:
        blocks: Rows of table 2 from 3a on, as `InceptionRow` or its values.
        image_shape: (height, width, channels), pixels; 17 or more a side, 65 or more for
            `l2_pool_padding="openface"`.
        use_bias: Whether convolutions have a bias beside the batch normalisation, as OpenFace's.
        use_batch_norm: False gives the network as it was in 2015, without it.
        l2_pool_padding: `"same"` or `"openface"`, see `facezoo.layers.inception`.
        width: Factor of every convolution's filters, rounded to multiples of 4.

    Call:
        image: float [B, H, W, 3].

    Returns:
        float [B, H / 32, W / 32, C]; C is 1024 for NN2 and NN3, 896 for NN4, 736 for nn4_small2.

    Raises:
        ValueError: The image is too small or not RGB, or another argument out of range.

    Source:
        FaceNet, arXiv 1503.03832, table 2 and section 3.3; NN4's blocks 5a and 5b (no 5x5), the
        small variants and the constants of LRN and batch normalisation from OpenFace's definitions.
    """

    SOURCE: ClassVar[str] = "FaceNet, arXiv 1503.03832, table 2"
    TINY: ClassVar[Mapping[str, Any]] = {
        "blocks": (
            ("3a", 4, 4, 8, 4, 4, "l2", 4),
            ("3b", 0, 4, 8, 4, 4, "max", 0, 2),
            ("3c", 0, 4, 8, 0, 0, "max", 4, 2),
        ),
        "image_shape": (33, 40, 3),
    }
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "nn2": {"blocks": _NN2, "image_shape": (224, 224, 3)},
        "nn3": {"blocks": _NN2, "image_shape": (160, 160, 3)},
        "nn4": {"blocks": _NN4, "image_shape": (96, 96, 3)},
        "nn4_small1": {"blocks": _SMALL1, **_OPENFACE},
        "nn4_small2": {"blocks": _SMALL2, **_OPENFACE},
        "nns1": {"width": 0.43, "image_shape": (165, 165, 3)},
        "nns2": {"width": 0.15, "image_shape": (140, 116, 3)},
    }
    VARIANT_EMBEDDING: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "nns1": {"pooling": "flatten", "hidden_units": (1536,)},
        "nns2": {"pooling": "flatten", "hidden_units": (1280,)},
    }

    def __init__(
        self,
        blocks: Sequence[Sequence[Any]] = _NN2,
        image_shape: tuple[int, int, int] = (224, 224, 3),
        use_bias: bool = False,
        use_batch_norm: bool = True,
        l2_pool_padding: str = "same",
        width: float = 1.0,
        **kwargs: Any,
    ) -> None:
        _check(l2_pool_padding, width)
        rows = [InceptionRow(*row) for row in blocks]
        narrow, wide = scale_width(64, width), scale_width(192, width)
        options = {"use_bias": use_bias, "use_batch_norm": use_batch_norm}
        # === Functional model ===
        image = image_input(image_shape, _SMALLEST_SIDE[l2_pool_padding])
        x = conv_bn(image, narrow, 7, strides=2, name="conv1", **options)
        x = keras.layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
        x = LocalResponseNormalization(name="norm1")(x)
        x = conv_bn(x, narrow, 1, name="inception_2_reduce", **options)
        x = conv_bn(x, wide, 3, name="inception_2", **options)
        x = LocalResponseNormalization(name="norm2")(x)
        x = keras.layers.MaxPooling2D(3, 2, "same", name="pool2")(x)
        for row in rows:
            x = inception_block(x, row.scaled(width), l2_pool_padding, **options)
        super().__init__(inputs=image, outputs=x, **kwargs)
        # === Config ===
        self.blocks = rows
        self.image_shape = tuple(image_shape)
        self.use_bias = use_bias
        self.use_batch_norm = use_batch_norm
        self.l2_pool_padding = l2_pool_padding
        self.width = float(width)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "blocks": [list(row) for row in self.blocks],
            "image_shape": list(self.image_shape),
            "use_bias": self.use_bias,
            "use_batch_norm": self.use_batch_norm,
            "l2_pool_padding": self.l2_pool_padding,
            "width": self.width,
        }


def _check(l2_pool_padding: str, width: float) -> None:
    if l2_pool_padding not in _SMALLEST_SIDE:
        raise ValueError(
            f'l2_pool_padding must be "same" or "openface". Received: {l2_pool_padding!r}.'
        )
    if not width > 0:
        raise ValueError(f"width must be above 0. Received: width={width!r}.")
