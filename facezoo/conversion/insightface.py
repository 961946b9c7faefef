"""The layout of insightface's PyTorch iresnets."""

import math
import re
from collections.abc import Set
from typing import ClassVar

import numpy as np

from facezoo import registry
from facezoo.backbones import IResNet
from facezoo.conversion.frameworks import PYTORCH, Framework
from facezoo.conversion.layout import Layout
from facezoo.models import FaceModel, create_model

_BLOCK = re.compile(r"layer([1-4])\.(\d+)\..*")
_NUM_STAGES = 4
_STRIDE = 2**_NUM_STAGES
# It standardises with (x - 127.5) / 127.5, the zoo with (x - 127.5) / 128.
_STANDARDIZATION_RATIO = 128.0 / 127.5
_EMBEDDING_LAYERS = {
    "embedding/input_bn": "bn2",
    "embedding/dense": "fc",
    "embedding/bn": "features",
}


@registry.register("layout")
class Insightface(Layout):
    """`layer1.0.bn1.weight` ..; the depth is read off the names. See `Layout` for the arguments.

    Numerics:
        The first convolution has no bias and pads with zeros, so that the factor between the two
        standardisations goes into its kernel.
    """

    SOURCE: ClassVar[str] = "insightface, recognition/arcface_torch/backbones/iresnet.py"
    FACES: ClassVar[str] = "aligned to five points"
    FRAMEWORK: ClassVar[Framework] = PYTORCH
    SIGNATURE: ClassVar[Set[str]] = {"layer1.0.bn1.weight", "layer1.0.prelu.weight", "fc.weight"}
    LEFT_BEHIND: ClassVar[re.Pattern[str]] = re.compile(r".*\.num_batches_tracked")

    def fold(self) -> None:
        self.arrays["conv1.weight"] = self.array("conv1.weight", 4) * _STANDARDIZATION_RATIO

    def create_model(self) -> FaceModel:
        outputs, inputs = self.array("fc.weight", 2).shape
        side = math.isqrt(inputs // len(self.array("bn2.weight", 1)))
        # Frozen at 1 by the original; what somebody has trained on goes on training.
        is_frozen = bool(np.all(self.array("features.weight", 1) == 1))
        return create_model(
            self._variant(),
            embedding_dim=outputs,
            embedding={"batch_norm": "fixed" if is_frozen else True},
            image_shape=(_STRIDE * side, _STRIDE * side, 3),
        )

    def prefix(self, layer: str) -> str:
        return _EMBEDDING_LAYERS.get(layer, layer.replace("_", "."))

    def _variant(self) -> str:
        depths = [0] * _NUM_STAGES
        for found in filter(None, map(_BLOCK.fullmatch, self.arrays)):
            stage, block = int(found[1]) - 1, int(found[2])
            depths[stage] = max(depths[stage], block + 1)
        for name, arguments in IResNet.VARIANTS.items():
            if list(arguments["depths"]) == depths:
                return name
        known = ", ".join(f"{name} {one['depths']}" for name, one in IResNet.VARIANTS.items())
        raise ValueError(self.unfit(f"Blocks per stage: {tuple(depths)}. Published: {known}."))
