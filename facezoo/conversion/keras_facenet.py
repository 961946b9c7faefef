"""The layout of davidsandberg/facenet's weights as a Keras port names them, in an .npz."""

import re
from collections.abc import Mapping, Set
from typing import ClassVar

from facezoo import registry
from facezoo.conversion.frameworks import KERAS, Framework
from facezoo.conversion.inception_resnet_v1_layout import InceptionResNetV1Layout


@registry.register("layout")
class KerasFacenet(InceptionResNetV1Layout):
    """`Block35_1_Branch_0_Conv2d_1x1_kernel`; see `Layout` for the arguments."""

    SOURCE: ClassVar[str] = "davidsandberg/facenet, weights by the names of Keras layers"
    FRAMEWORK: ClassVar[Framework] = KERAS
    SIGNATURE: ClassVar[Set[str]] = {"Conv2d_1a_3x3_kernel"}
    LEFT_BEHIND: ClassVar[re.Pattern[str]] = re.compile(r"Logits_.*")
    SCALE: ClassVar[bool] = False
    EMBEDDING_LAYERS: ClassVar[Mapping[str, str]] = {
        "embedding/dense": "Bottleneck",
        "embedding/bn": "Bottleneck_BatchNorm",
    }

    def convolution(self, scope: str, kind: str) -> str:
        name = "_".join(word.capitalize() for word in scope.split("_"))
        return f"{name}_BatchNorm" if kind == "bn" else name
