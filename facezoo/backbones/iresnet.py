"""IResNet, the improved residual network that ArcFace made usual for faces."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras

from facezoo import registry
from facezoo.contracts import Backbone
from facezoo.layers.conv_bn import batch_norm
from facezoo.layers.image_input import image_input
from facezoo.ops import Tensor

_EPSILON = 1e-5


@registry.register("backbone")
@keras.saving.register_keras_serializable("facezoo")
class IResNet(Backbone):
    """Residual network for aligned 112 x 112 faces: normalisation first, PReLU, no activation last.

    Each stage halves the map. The layers bear the names of insightface's PyTorch code.

    Args:
        depths: Blocks of each stage.
        widths: Channels of each stage; the stem has those of the first.
        padding: Border rule of the strided 3x3 convolutions: `"symmetric"` (MXNet and PyTorch, as
            published) or `"same"` (TensorFlow), see `conv_bn`.
        image_shape: (height, width, channels), pixels, 9 or more a side for four stages.

    Call:
        image: float [B, H, W, 3].

    Returns:
        float [B, H / 16, W / 16, last of `widths`] for four stages, rounded up.

    Raises:
        ValueError: The image is too small, `padding` is unknown, or `depths` and `widths` do not
            go together.

    Source:
        ArcFace, arXiv 1801.07698, section 3.1 (the improved residual unit); depths and border rule
        of insightface's code.
    """

    SOURCE: ClassVar[str] = "ArcFace, arXiv 1801.07698, section 3.1; insightface iresnet"
    TINY: ClassVar[Mapping[str, Any]] = {
        "depths": (2, 1),
        "widths": (8, 12),
        "image_shape": (12, 14, 3),
    }
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "iresnet18": {"depths": (2, 2, 2, 2)},
        "iresnet34": {"depths": (3, 4, 6, 3)},
        "iresnet50": {"depths": (3, 4, 14, 3)},
        "iresnet100": {"depths": (3, 13, 30, 3)},
        "iresnet200": {"depths": (6, 26, 60, 6)},
    }
    EMBEDDING: ClassVar[Mapping[str, Any]] = {
        "embedding_dim": 512,
        "pooling": "bn_flatten",
        "batch_norm": "fixed",
    }

    def __init__(
        self,
        depths: Sequence[int] = (3, 4, 14, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        padding: str = "symmetric",
        image_shape: tuple[int, int, int] = (112, 112, 3),
        **kwargs: Any,
    ) -> None:
        _check(depths, widths, padding)
        # === Functional model ===
        image = image_input(image_shape, 2 ** (len(depths) - 1) + 1)
        x = _conv(image, widths[0], 3, 1, padding, "conv1")
        x = batch_norm(_EPSILON, True, "bn1")(x)
        x = _prelu("prelu")(x)
        for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
            for index in range(depth):
                x = _block(x, width, 2 if index == 0 else 1, padding, f"layer{stage}_{index}")
        super().__init__(inputs=image, outputs=x, **kwargs)
        # === Config ===
        self.depths = tuple(depths)
        self.widths = tuple(widths)
        self.padding = padding
        self.image_shape = tuple(image_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "depths": list(self.depths),
            "widths": list(self.widths),
            "padding": self.padding,
            "image_shape": list(self.image_shape),
        }


def _check(depths: Sequence[int], widths: Sequence[int], padding: str) -> None:
    if padding not in ("symmetric", "same"):
        raise ValueError(f'padding must be "symmetric" or "same". Received: {padding!r}.')
    if len(depths) != len(widths) or min((*depths, *widths), default=0) < 1:
        raise ValueError(
            "depths and widths must hold one number of at least 1 for each stage. "
            f"Received: depths={tuple(depths)}, widths={tuple(widths)}."
        )


def _block(x: Tensor, filters: int, strides: int, padding: str, name: str) -> Tensor:
    y = batch_norm(_EPSILON, True, f"{name}_bn1")(x)
    y = _conv(y, filters, 3, 1, padding, f"{name}_conv1")
    y = batch_norm(_EPSILON, True, f"{name}_bn2")(y)
    y = _prelu(f"{name}_prelu")(y)
    y = _conv(y, filters, 3, strides, padding, f"{name}_conv2")
    y = batch_norm(_EPSILON, True, f"{name}_bn3")(y)
    if strides > 1:
        # A strided 1x1 convolution, in two steps: the gradient of the one-step form writes outside
        # its memory in TensorFlow's oneDNN kernels where there are fewer than 16 channels.
        x = keras.layers.MaxPooling2D(1, strides, name=f"{name}_downsample")(x)
        x = _conv(x, filters, 1, 1, padding, f"{name}_downsample_0")
        x = batch_norm(_EPSILON, True, f"{name}_downsample_1")(x)
    return keras.layers.Add(name=f"{name}_add")([y, x])


def _conv(
    x: Tensor, filters: int, kernel_size: int, strides: int, padding: str, name: str
) -> Tensor:
    # Without strides both rules put the same zeros.
    if padding == "symmetric" and strides > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        "valid" if padding == "valid" else "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _prelu(name: str) -> keras.layers.Layer:
    return keras.layers.PReLU(keras.initializers.Constant(0.25), shared_axes=[1, 2], name=name)
