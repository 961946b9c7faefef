"""The layout of MobileFaceNet_Pytorch's checkpoints."""

import re
from collections.abc import Iterator, Mapping, Set
from typing import ClassVar

from facezoo import registry
from facezoo.conversion.frameworks import PYTORCH, Framework
from facezoo.conversion.mobilefacenet_layout import Bottleneck, MobileFaceNetLayout, layer_names

_BLOCK = re.compile(r"blocks\.(\d+)\..*")
# Table 1 halves the map where the bottlenecks begin and wherever they expand fourfold.
_HALVING_EXPANSION = 4


@registry.register("layout")
class MobileFaceNetPytorch(MobileFaceNetLayout):
    """Bottlenecks are `blocks.N.conv.0` to `.7`; see `Layout` for the arguments."""

    SOURCE: ClassVar[str] = "Xiaoccer/MobileFaceNet_Pytorch, core/model.py"
    FACES: ClassVar[str] = "aligned to five points"
    FRAMEWORK: ClassVar[Framework] = PYTORCH
    SIGNATURE: ClassVar[Set[str]] = {"dw_conv1.conv.weight", "linear7.conv.weight"}
    LEFT_BEHIND: ClassVar[re.Pattern[str]] = re.compile(r".*\.num_batches_tracked")
    LAYERS: ClassVar[Mapping[str, str]] = {
        **layer_names(
            {"stem": "conv1", "stem_depthwise": "dw_conv1", "last": "conv2"},
            {"conv": "conv", "bn": "bn", "prelu": "prelu"},
            ".",
        ),
        "embedding/depthwise": "linear7.conv",
        "embedding/depthwise_bn": "linear7.bn",
        "embedding/dense": "linear1.conv",
        "embedding/bn": "linear1.bn",
    }
    IN_BOTTLENECK: ClassVar[Mapping[str, str]] = {
        "expand_conv": ".conv.0",
        "expand_bn": ".conv.1",
        "expand_prelu": ".conv.2",
        "depthwise_conv": ".conv.3",
        "depthwise_bn": ".conv.4",
        "depthwise_prelu": ".conv.5",
        "project_conv": ".conv.6",
        "project_bn": ".conv.7",
    }
    EPSILON: ClassVar[float] = 1e-5
    EMBEDDING: ClassVar[Mapping[str, float | bool | str]] = {"epsilon": EPSILON}

    def bottlenecks(self) -> Iterator[Bottleneck]:
        found = filter(None, map(_BLOCK.fullmatch, self.arrays))
        for index in range(1 + max((int(match[1]) for match in found), default=-1)):
            wide, narrow, _, _ = self.array(f"blocks.{index}.conv.0.weight", 4).shape
            halves = index == 0 or wide // narrow == _HALVING_EXPANSION
            yield Bottleneck(f"blocks.{index}", 2 if halves else 1)
