"""MobileFaceNet: inverted residuals with PReLU, made for faces on phones."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras

from facezoo import registry
from facezoo.contracts import Backbone
from facezoo.layers.conv_bn import conv_bn
from facezoo.ops import Tensor

# Expansion t, channels c, repeats n, stride s: table 1 of the paper.
_STAGES = (
    (2, 64, 5, 2),
    (4, 128, 1, 2),
    (2, 128, 6, 1),
    (4, 128, 1, 2),
    (2, 128, 2, 1),
)


@registry.register("backbone")
@keras.saving.register_keras_serializable("facezoo")
class MobileFaceNet(Backbone):
    """Depthwise-separable network; goes with the embedding pooling `"depthwise"`.

    Args:
        stages: Rows (expansion, channels, repeats, strides) of table 1.
        stem: Channels of the first two convolutions.
        last: Channels of the last 1x1 convolution.
        image_shape: (height, width, channels), pixels, 9 or more a side.

    Call:
        image: float [B, H, W, 3].

    Returns:
        float [B, H / 16, W / 16, last].

    Raises:
        ValueError: The image is too small.

    Source:
        MobileFaceNets, arXiv 1804.07573, table 1.
    """

    SOURCE: ClassVar[str] = "MobileFaceNets, arXiv 1804.07573, table 1"
    TINY: ClassVar[Mapping[str, Any]] = {
        "stages": ((2, 8, 2, 2), (2, 8, 1, 1)),
        "stem": 8,
        "last": 16,
        "image_shape": (16, 18, 3),
    }
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"mobilefacenet": {}}

    def __init__(
        self,
        stages: Sequence[Sequence[int]] = _STAGES,
        stem: int = 64,
        last: int = 512,
        image_shape: tuple[int, int, int] = (112, 112, 3),
        **kwargs: Any,
    ) -> None:
        if min(image_shape[:2]) < 9:
            raise ValueError(
                "image_shape must be (height, width, channels) with at least 9 pixels a side, "
                f"because the network halves it four times. Received: {image_shape}."
            )
        # === Functional model ===
        image = keras.Input(image_shape, name="image")
        x = conv_bn(image, stem, 3, strides=2, activation="prelu", name="stem")
        x = conv_bn(x, stem, 3, activation="prelu", depthwise=True, name="stem_depthwise")
        for stage, (expansion, channels, repeats, strides) in enumerate(stages):
            for repeat in range(repeats):
                step = strides if repeat == 0 else 1
                x = _bottleneck(x, expansion, channels, step, f"stage{stage}_block{repeat}")
        x = conv_bn(x, last, 1, activation="prelu", name="last")
        super().__init__(inputs=image, outputs=x, **kwargs)
        # === Config ===
        self.stages = [list(row) for row in stages]
        self.stem = stem
        self.last = last
        self.image_shape = tuple(image_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "stages": self.stages,
            "stem": self.stem,
            "last": self.last,
            "image_shape": list(self.image_shape),
        }


def _bottleneck(x: Tensor, expansion: int, channels: int, strides: int, name: str) -> Tensor:
    wide = x.shape[-1] * expansion
    y = conv_bn(x, wide, 1, activation="prelu", name=f"{name}_expand")
    y = conv_bn(
        y, wide, 3, strides=strides, activation="prelu", depthwise=True, name=f"{name}_depthwise"
    )
    y = conv_bn(y, channels, 1, activation=None, name=f"{name}_project")
    if strides == 1 and x.shape[-1] == channels:
        return keras.layers.Add(name=f"{name}_add")([x, y])
    return y
