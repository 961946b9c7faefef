"""MobileFaceNet: inverted residuals with PReLU, made for faces on phones."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras

from facezoo import registry
from facezoo.contracts import Backbone
from facezoo.layers.conv_bn import conv_bn
from facezoo.layers.image_input import image_input
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
        padding: Border rule of the strided convolutions: `"same"` (TensorFlow) or `"symmetric"`
            (PyTorch and MXNet, for weights trained there), see `conv_bn`.
        epsilon: Of every batch normalisation.

    Call:
        image: float [B, H, W, 3].

    Returns:
        float [B, H / 16, W / 16, last].

    Raises:
        ValueError: The image is too small, or `padding` is unknown.

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
    EMBEDDING: ClassVar[Mapping[str, Any]] = {"pooling": "depthwise"}

    def __init__(
        self,
        stages: Sequence[Sequence[int]] = _STAGES,
        stem: int = 64,
        last: int = 512,
        image_shape: tuple[int, int, int] = (112, 112, 3),
        padding: str = "same",
        epsilon: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        if padding not in ("same", "symmetric"):
            raise ValueError(f'padding must be "same" or "symmetric". Received: {padding!r}.')
        options = {"padding": padding, "epsilon": epsilon}
        # === Functional model ===
        # The network halves the map four times.
        image = image_input(image_shape, smallest=9)
        x = conv_bn(image, stem, 3, strides=2, activation="prelu", name="stem", **options)
        x = conv_bn(
            x, stem, 3, activation="prelu", depthwise=True, name="stem_depthwise", **options
        )
        for stage, (expansion, channels, repeats, strides) in enumerate(stages):
            for repeat in range(repeats):
                step = strides if repeat == 0 else 1
                name = f"stage{stage}_block{repeat}"
                x = _bottleneck(x, expansion, channels, step, name, **options)
        x = conv_bn(x, last, 1, activation="prelu", name="last", **options)
        super().__init__(inputs=image, outputs=x, **kwargs)
        # === Config ===
        self.stages = [list(row) for row in stages]
        self.stem = stem
        self.last = last
        self.image_shape = tuple(image_shape)
        self.padding = padding
        self.epsilon = epsilon

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "stages": self.stages,
            "stem": self.stem,
            "last": self.last,
            "image_shape": list(self.image_shape),
            "padding": self.padding,
            "epsilon": self.epsilon,
        }


def _bottleneck(
    x: Tensor, expansion: int, channels: int, strides: int, name: str, **options: Any
) -> Tensor:
    wide = x.shape[-1] * expansion
    y = conv_bn(x, wide, 1, activation="prelu", name=f"{name}_expand", **options)
    y = conv_bn(
        y,
        wide,
        3,
        strides=strides,
        activation="prelu",
        depthwise=True,
        name=f"{name}_depthwise",
        **options,
    )
    y = conv_bn(y, channels, 1, activation=None, name=f"{name}_project", **options)
    if strides == 1 and x.shape[-1] == channels:
        return keras.layers.Add(name=f"{name}_add")([x, y])
    return y
