"""The layout of InsightFace's MXNet model y1, as an .npz of its arrays."""

import re
from collections.abc import Iterator, Mapping, Set
from typing import ClassVar

from facezoo import registry
from facezoo.conversion.frameworks import MXNET, Framework
from facezoo.conversion.mobilefacenet_layout import Bottleneck, MobileFaceNetLayout, layer_names

_BLOCK = re.compile(r"res_(\d)_block(\d+)_conv_sep_conv2d_weight")
_PARTS = {"conv": "conv2d", "bn": "batchnorm", "prelu": "relu"}
_LAST_EPSILON = 2e-5


@registry.register("layout")
class MobileFaceNetMXNet(MobileFaceNetLayout):
    """Bottlenecks are `dconv_23`, `res_3_block0` ..; see `Layout` for the arguments.

    Numerics:
        The dense layer's bias goes into the moving mean behind it. The batch normalisation of the
        global depthwise convolution has another epsilon than the last: the difference goes into
        its moving variance.
    """

    SOURCE: ClassVar[str] = "insightface model-y1-test2, fmobilefacenet.py"
    FACES: ClassVar[str] = "aligned to five points"
    FRAMEWORK: ClassVar[Framework] = MXNET
    SIGNATURE: ClassVar[Set[str]] = {"conv_6dw7_7_conv2d_weight", "fc1_weight"}
    # `fix_gamma`: the last normalisation takes 1, whatever is in the file.
    LEFT_BEHIND: ClassVar[re.Pattern[str]] = re.compile(r"fc1_gamma")
    LAYERS: ClassVar[Mapping[str, str]] = {
        **layer_names(
            {"stem": "conv_1", "stem_depthwise": "conv_2_dw", "last": "conv_6sep"}, _PARTS, "_"
        ),
        "embedding/depthwise": "conv_6dw7_7_conv2d",
        "embedding/depthwise_bn": "conv_6dw7_7_batchnorm",
        "embedding/dense": "fc1",
        "embedding/bn": "fc1",
    }
    IN_BOTTLENECK: ClassVar[Mapping[str, str]] = layer_names(
        {"expand": "_conv_sep", "depthwise": "_conv_dw", "project": "_conv_proj"}, _PARTS, "_"
    )
    EPSILON: ClassVar[float] = 1e-3
    EMBEDDING: ClassVar[Mapping[str, float | bool | str]] = {
        "epsilon": _LAST_EPSILON,
        "batch_norm": "center",
    }

    def fold(self) -> None:
        if "pre_fc1_bias" in self.arrays:
            mean = self.array("fc1_moving_mean", 1)
            self.arrays["fc1_moving_mean"] = mean - self.arrays.pop("pre_fc1_bias")
        variance = "conv_6dw7_7_batchnorm_moving_var"
        self.arrays[variance] = self.array(variance, 1) + (self.EPSILON - _LAST_EPSILON)

    def bottlenecks(self) -> Iterator[Bottleneck]:
        depths: dict[int, int] = {}
        for found in filter(None, map(_BLOCK.fullmatch, self.arrays)):
            stage, block = int(found[1]), int(found[2])
            depths[stage] = max(depths.get(stage, 0), block + 1)
        for stage, depth in sorted(depths.items()):
            yield Bottleneck(f"dconv_{stage - 1}{stage}", 2)
            for block in range(depth):
                yield Bottleneck(f"res_{stage}_block{block}", 1)
