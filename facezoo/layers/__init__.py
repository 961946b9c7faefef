"""Layers and blocks that backbones are made of."""

from facezoo.layers.conv_bn import conv_bn
from facezoo.layers.embedding_output import EmbeddingOutput
from facezoo.layers.image_input import image_input
from facezoo.layers.inception import InceptionRow, inception_block, scale_width
from facezoo.layers.inception_residual import (
    ConvRow,
    ResidualPlan,
    conv_rows,
    inception_stem,
    parallel_branches,
    reduction_block,
    residual_block,
    residual_stages,
)
from facezoo.layers.l2_pooling import L2Pooling2D
from facezoo.layers.local_response_normalization import LocalResponseNormalization
from facezoo.layers.maxout import MaxoutDense
from facezoo.layers.norm_gate import NormGate
from facezoo.layers.scaled_add import ScaledAdd

__all__ = [
    "ConvRow",
    "EmbeddingOutput",
    "InceptionRow",
    "L2Pooling2D",
    "LocalResponseNormalization",
    "MaxoutDense",
    "NormGate",
    "ResidualPlan",
    "ScaledAdd",
    "conv_bn",
    "conv_rows",
    "image_input",
    "inception_block",
    "inception_stem",
    "parallel_branches",
    "reduction_block",
    "residual_block",
    "residual_stages",
    "scale_width",
]
