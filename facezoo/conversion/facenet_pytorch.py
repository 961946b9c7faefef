"""The layout of facenet-pytorch's state dicts."""

import re
from collections.abc import Mapping, Set
from typing import ClassVar

from facezoo import registry
from facezoo.conversion.frameworks import PYTORCH, Framework
from facezoo.conversion.inception_resnet_v1_layout import InceptionResNetV1Layout

_IN_BLOCK = re.compile(
    r"(?P<block>(?:block|mixed)[^_]*_[^_]+)(?:_branch_(?P<branch>\d))?_conv2d_(?P<place>\w+?)(_.*)?"
)
_REPEATS = {"block35": "repeat_1", "block17": "repeat_2", "block8": "repeat_3"}
_LAST_BLOCK = "block8_6"
# A branch of one convolution is not numbered; `1a` closes branches of different lengths.
_PLACES = {"1x1": "", "0a": ".0", "0b": ".1", "0c": ".2"}
_CLOSING_PLACES = {
    ("mixed_6a", "0"): "",
    ("mixed_6a", "1"): ".2",
    ("mixed_7a", "0"): ".1",
    ("mixed_7a", "1"): ".1",
    ("mixed_7a", "2"): ".2",
}


@registry.register("layout")
class FacenetPytorch(InceptionResNetV1Layout):
    """`repeat_1.0.branch1.0.conv.weight`; see `Layout` for the arguments."""

    SOURCE: ClassVar[str] = "facenet-pytorch, models/inception_resnet_v1.py"
    FRAMEWORK: ClassVar[Framework] = PYTORCH
    SIGNATURE: ClassVar[Set[str]] = {"conv2d_1a.conv.weight"}
    LEFT_BEHIND: ClassVar[re.Pattern[str]] = re.compile(r".*\.num_batches_tracked|logits\..*")
    SCALE: ClassVar[bool] = True
    EMBEDDING_LAYERS: ClassVar[Mapping[str, str]] = {
        "embedding/dense": "last_linear",
        "embedding/bn": "last_bn",
    }

    def convolution(self, scope: str, kind: str) -> str:
        inside = _IN_BLOCK.fullmatch(scope)
        if inside is None:  # The stem: conv2d_1a_3x3.
            return f"{scope.rpartition('_')[0]}.{kind}"
        block, branch, place = inside["block"], inside["branch"], inside["place"]
        if branch is None:
            return f"{_block_name(block)}.conv2d"
        number = _CLOSING_PLACES[block, branch] if place == "1a" else _PLACES[place]
        return f"{_block_name(block)}.branch{branch}{number}.{kind}"


def _block_name(block: str) -> str:
    family, _, number = block.partition("_")
    if family not in _REPEATS:
        return block
    return family if block == _LAST_BLOCK else f"{_REPEATS[family]}.{int(number) - 1}"
