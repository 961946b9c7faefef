"""The layout of davidsandberg/facenet's frozen graphs and checkpoints."""

import re
from collections.abc import Mapping, Set
from typing import ClassVar

from facezoo import registry
from facezoo.conversion.frameworks import SLIM, Framework
from facezoo.conversion.inception_resnet_v1_layout import InceptionResNetV1Layout

_NETWORK = "InceptionResnetV1"
_REPEATS = {"block35": "Repeat", "block17": "Repeat_1", "block8": "Repeat_2"}
# Published without a number, behind five others.
_LAST_BLOCK = "block8_6"


@registry.register("layout")
class Davidsandberg(InceptionResNetV1Layout):
    """Slim's scopes: `InceptionResnetV1/Repeat/block35_1/Branch_0/Conv2d_1x1/weights`.

    See `Layout` for the arguments.
    """

    SOURCE: ClassVar[str] = "davidsandberg/facenet, src/models/inception_resnet_v1.py"
    FRAMEWORK: ClassVar[Framework] = SLIM
    SIGNATURE: ClassVar[Set[str]] = {f"{_NETWORK}/Conv2d_1a_3x3/weights"}
    # A graph also holds its operations' settings; a checkpoint the classifier, moving averages of
    # the weights and the optimiser's slots: all that does not end like a weight of the network.
    LEFT_BEHIND: ClassVar[re.Pattern[str]] = re.compile(
        rf"(?!{_NETWORK}/).*|(?!.*/(weights|biases|beta|gamma|moving_mean|moving_variance)$).*"
    )
    SCALE: ClassVar[bool] = False
    EMBEDDING_LAYERS: ClassVar[Mapping[str, str]] = {
        "embedding/dense": f"{_NETWORK}/Bottleneck",
        "embedding/bn": f"{_NETWORK}/Bottleneck/BatchNorm",
    }

    def convolution(self, scope: str, kind: str) -> str:
        levels = re.sub(r"_(?=branch_|conv2d_)", "/", scope).split("/")
        family, _, number = levels[0].partition("_")
        if levels[0] == _LAST_BLOCK:
            levels[0] = family.capitalize()
        elif family in _REPEATS:
            levels[0] = f"{_REPEATS[family]}/{family}_{number}"
        else:
            levels[0] = levels[0].capitalize()
        levels[1:] = [level.capitalize() for level in levels[1:]]
        return "/".join([_NETWORK, *levels, *(["BatchNorm"] if kind == "bn" else [])])
