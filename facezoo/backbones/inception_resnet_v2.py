"""Inception-ResNet-v2 as davidsandberg/facenet defined it for faces."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras

from facezoo import registry
from facezoo.contracts import Backbone
from facezoo.layers.image_input import image_input
from facezoo.layers.inception_residual import (
    SMALLEST_SIDE,
    ConvRow,
    ResidualPlan,
    conv_rows,
    inception_stem,
    parallel_branches,
    residual_stages,
)
from facezoo.ops import Tensor

_EPSILON = 1e-3
_MIXED_5B = (
    (ConvRow("1x1", 96, 1),),
    (ConvRow("0a_1x1", 48, 1), ConvRow("0b_5x5", 64, 5)),
    (ConvRow("0a_1x1", 64, 1), ConvRow("0b_3x3", 96, 3), ConvRow("0c_3x3", 96, 3)),
)
_MIXED_5B_PROJECTION = (ConvRow("0b_1x1", 64, 1),)
_LAST = (ConvRow("7b_1x1", 1536, 1),)
_PLAN = ResidualPlan(
    block35=(
        (ConvRow("1x1", 32, 1),),
        (ConvRow("0a_1x1", 32, 1), ConvRow("0b_3x3", 32, 3)),
        (ConvRow("0a_1x1", 32, 1), ConvRow("0b_3x3", 48, 3), ConvRow("0c_3x3", 64, 3)),
    ),
    mixed_6a=(
        (ConvRow("1a_3x3", 384, 3, 2, "valid"),),
        (
            ConvRow("0a_1x1", 256, 1),
            ConvRow("0b_3x3", 256, 3),
            ConvRow("1a_3x3", 384, 3, 2, "valid"),
        ),
    ),
    block17=(
        (ConvRow("1x1", 192, 1),),
        (
            ConvRow("0a_1x1", 128, 1),
            ConvRow("0b_1x7", 160, (1, 7)),
            ConvRow("0c_7x1", 192, (7, 1)),
        ),
    ),
    mixed_7a=(
        (ConvRow("0a_1x1", 256, 1), ConvRow("1a_3x3", 384, 3, 2, "valid")),
        (ConvRow("0a_1x1", 256, 1), ConvRow("1a_3x3", 288, 3, 2, "valid")),
        (
            ConvRow("0a_1x1", 256, 1),
            ConvRow("0b_3x3", 288, 3),
            ConvRow("1a_3x3", 320, 3, 2, "valid"),
        ),
    ),
    block8=(
        (ConvRow("1x1", 192, 1),),
        (
            ConvRow("0a_1x1", 192, 1),
            ConvRow("0b_1x3", 224, (1, 3)),
            ConvRow("0c_3x1", 256, (3, 1)),
        ),
    ),
)


@registry.register("backbone")
@keras.saving.register_keras_serializable("facezoo")
class InceptionResNetV2(Backbone):
    """The wider and deeper Inception-ResNet, without its auxiliary classifier.

    The layers bear the names of the published code in lower case.

    Args:
        repeats: Blocks of each residual stage: `block35`, `block17`, `block8` (before the last).
        width: Factor of all filters, above 0, rounded to multiples of 4; 1 is as published.
        batch_norm_scale: Whether batch normalisation has gamma beside beta; False as published.
        image_shape: (height, width, channels), pixels, 75 or more a side.

    Call:
        image: float [B, H, W, 3].

    Returns:
        float [B, h, w, 1536 at width 1]; h = w = 3 for 160 pixels.

    Raises:
        ValueError: The image is too small, `repeats` is not three numbers, or `width` not positive.

    Numerics:
        The average pooling of `mixed_5b` leaves the padding out of the mean, on every back end.

    Source:
        Inception-v4, arXiv 1602.07261, figures 15 to 19, with stem, widths and scales of the
        authors' TensorFlow-slim code, as davidsandberg/facenet took them over.
    """

    SOURCE: ClassVar[str] = "Inception-v4, arXiv 1602.07261, figures 15-19; davidsandberg/facenet"
    TINY: ClassVar[Mapping[str, Any]] = {
        "repeats": (1, 2, 1),
        "width": 1 / 16,
        "image_shape": (75, 107, 3),
    }
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"inception_resnet_v2": {}}
    EMBEDDING: ClassVar[Mapping[str, Any]] = {
        "embedding_dim": 512,
        "pooling": "average",
        "batch_norm": "center",
        "dropout": 0.2,
        "epsilon": _EPSILON,
    }

    def __init__(
        self,
        repeats: Sequence[int] = (10, 20, 9),
        width: float = 1.0,
        batch_norm_scale: bool = False,
        image_shape: tuple[int, int, int] = (160, 160, 3),
        **kwargs: Any,
    ) -> None:
        options = {"width": width, "epsilon": _EPSILON, "scale": batch_norm_scale}
        # === Functional model ===
        image = image_input(image_shape, SMALLEST_SIDE)
        x = inception_stem(image, **options)
        x = keras.layers.MaxPooling2D(3, 2, "valid", name="maxpool_5a_3x3")(x)
        x = _mixed_5b(x, **options)
        x = residual_stages(x, _PLAN, repeats, **options)
        x = conv_rows(x, _LAST, "", **options)
        super().__init__(inputs=image, outputs=x, **kwargs)
        # === Config ===
        self.repeats = tuple(repeats)
        self.width = width
        self.batch_norm_scale = batch_norm_scale
        self.image_shape = tuple(image_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "repeats": list(self.repeats),
            "width": self.width,
            "batch_norm_scale": self.batch_norm_scale,
            "image_shape": list(self.image_shape),
        }


def _mixed_5b(x: Tensor, **options: Any) -> Tensor:
    pooled = keras.layers.AveragePooling2D(3, 1, "same", name="mixed_5b_pool")(x)
    pooled = conv_rows(pooled, _MIXED_5B_PROJECTION, "mixed_5b_branch_3_", **options)
    return parallel_branches(x, _MIXED_5B, "mixed_5b", pooled=pooled, **options)
