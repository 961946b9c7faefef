"""Inception-ResNet-v1 as davidsandberg/facenet trained it on faces."""

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
    residual_stages,
)

_EPSILON = 1e-3
_STEM_END = (ConvRow("4b_3x3", 256, 3, 2, "valid"),)
_PLAN = ResidualPlan(
    block35=(
        (ConvRow("1x1", 32, 1),),
        (ConvRow("0a_1x1", 32, 1), ConvRow("0b_3x3", 32, 3)),
        (ConvRow("0a_1x1", 32, 1), ConvRow("0b_3x3", 32, 3), ConvRow("0c_3x3", 32, 3)),
    ),
    mixed_6a=(
        (ConvRow("1a_3x3", 384, 3, 2, "valid"),),
        (
            ConvRow("0a_1x1", 192, 1),
            ConvRow("0b_3x3", 192, 3),
            ConvRow("1a_3x3", 256, 3, 2, "valid"),
        ),
    ),
    block17=(
        (ConvRow("1x1", 128, 1),),
        (
            ConvRow("0a_1x1", 128, 1),
            ConvRow("0b_1x7", 128, (1, 7)),
            ConvRow("0c_7x1", 128, (7, 1)),
        ),
    ),
    mixed_7a=(
        (ConvRow("0a_1x1", 256, 1), ConvRow("1a_3x3", 384, 3, 2, "valid")),
        (ConvRow("0a_1x1", 256, 1), ConvRow("1a_3x3", 256, 3, 2, "valid")),
        (
            ConvRow("0a_1x1", 256, 1),
            ConvRow("0b_3x3", 256, 3),
            ConvRow("1a_3x3", 256, 3, 2, "valid"),
        ),
    ),
    block8=(
        (ConvRow("1x1", 192, 1),),
        (
            ConvRow("0a_1x1", 192, 1),
            ConvRow("0b_1x3", 192, (1, 3)),
            ConvRow("0c_3x1", 192, (3, 1)),
        ),
    ),
)


@registry.register("backbone")
@keras.saving.register_keras_serializable("facezoo")
class InceptionResNetV1(Backbone):
    """Inception blocks with scaled residual sums; the network behind the FaceNet weights in use.

    The layers bear the names of the published code in lower case, so that its weights find them.

    Args:
        repeats: Blocks of each residual stage: `block35`, `block17`, `block8` (before the last).
        width: Factor of all filters, above 0, rounded to multiples of 4; 1 is as published.
        batch_norm_scale: Whether batch normalisation has gamma beside beta: False as published,
            True for facenet-pytorch's copy.
        image_shape: (height, width, channels), pixels, 75 or more a side.

    Call:
        image: float [B, H, W, 3].

    Returns:
        float [B, h, w, 1792 at width 1]; h = w = 3 for 160 pixels.

    Raises:
        ValueError: The image is too small, `repeats` is not three numbers, or `width` not positive.

    Source:
        Inception-v4, arXiv 1602.07261, figures 10 to 14, with two changes of davidsandberg/facenet:
        `block8` once more at the end, without activation; batch normalisation without gamma.
    """

    SOURCE: ClassVar[str] = "Inception-v4, arXiv 1602.07261, figures 10-14; davidsandberg/facenet"
    TINY: ClassVar[Mapping[str, Any]] = {
        "repeats": (1, 2, 1),
        "width": 1 / 16,
        "image_shape": (75, 107, 3),
    }
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"inception_resnet_v1": {}}
    EMBEDDING: ClassVar[Mapping[str, Any]] = {
        "embedding_dim": 512,
        "pooling": "average",
        "batch_norm": "center",
        "dropout": 0.2,
        "epsilon": _EPSILON,
    }

    def __init__(
        self,
        repeats: Sequence[int] = (5, 10, 5),
        width: float = 1.0,
        batch_norm_scale: bool = False,
        image_shape: tuple[int, int, int] = (160, 160, 3),
        **kwargs: Any,
    ) -> None:
        options = {"width": width, "epsilon": _EPSILON, "scale": batch_norm_scale}
        # === Functional model ===
        image = image_input(image_shape, SMALLEST_SIDE)
        x = inception_stem(image, **options)
        x = conv_rows(x, _STEM_END, "", **options)
        x = residual_stages(x, _PLAN, repeats, **options)
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
