"""What the layouts of Inception-ResNet-v1 share: one architecture, with or without gamma."""

import abc
import re
from collections.abc import Mapping
from typing import ClassVar

from facezoo.conversion.layout import Layout
from facezoo.models import FaceModel, create_model

_LAYER = re.compile(r"(?P<scope>.*)_(?P<kind>conv|bn)")


class InceptionResNetV1Layout(Layout):
    """Inception-ResNet-v1 with an embedding of any length.

    Global pooling takes images of any size; the model gets the published one.
    """

    FACES: ClassVar[str] = "the box of a detector, enlarged by a quarter, not aligned"
    # Whether batch normalisation has gamma beside beta.
    SCALE: ClassVar[bool]
    # `embedding/dense` and `embedding/bn` to their prefixes.
    EMBEDDING_LAYERS: ClassVar[Mapping[str, str]]

    @abc.abstractmethod
    def convolution(self, scope: str, kind: str) -> str:
        """Returns the prefix of a convolution or of its batch normalisation.

        Args:
            scope: Published scope in lower case, such as `block35_1_branch_0_conv2d_1x1`.
            kind: `"conv"` or `"bn"`.
        """

    def prefix(self, layer: str) -> str:
        if layer in self.EMBEDDING_LAYERS:
            return self.EMBEDDING_LAYERS[layer]
        return self.convolution(**_LAYER.fullmatch(layer).groupdict())

    def create_model(self) -> FaceModel:
        dense = self.FRAMEWORK.array_name(self.EMBEDDING_LAYERS["embedding/dense"], "kernel")
        embedding_axis = 0 if self.FRAMEWORK.channels_first else 1
        return create_model(
            "inception_resnet_v1",
            embedding_dim=self.array(dense, 2).shape[embedding_axis],
            embedding={"batch_norm": True if self.SCALE else "center"},
            batch_norm_scale=self.SCALE,
        )
