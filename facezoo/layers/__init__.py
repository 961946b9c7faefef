"""Layers and blocks that backbones are made of."""

from facezoo.layers.conv_bn import conv_bn
from facezoo.layers.embedding_output import EmbeddingOutput
from facezoo.layers.inception import InceptionRow, inception_block
from facezoo.layers.l2_pooling import L2Pooling2D
from facezoo.layers.local_response_normalization import LocalResponseNormalization

__all__ = [
    "EmbeddingOutput",
    "InceptionRow",
    "L2Pooling2D",
    "LocalResponseNormalization",
    "conv_bn",
    "inception_block",
]
