"""What the layouts of MobileFaceNet share: bottlenecks in a row, read off their shapes."""

import abc
import functools
import math
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from facezoo.conversion.layout import Layout
from facezoo.models import FaceModel, create_model

_STEM_STRIDES = 2
_IN_BOTTLENECK = re.compile(r"stage(\d+)_block(\d+)_(\w+)")


class Bottleneck(NamedTuple):
    """One inverted residual block.

    Args:
        prefix: What its arrays' names begin with.
        strides: 2 if it halves the map; the arrays do not tell.
    """

    prefix: str
    strides: int


class _Row(NamedTuple):
    """Equal bottlenecks in a row: a line of the paper's table 1."""

    expansion: int
    channels: int
    strides: int
    prefixes: list[str]


class MobileFaceNetLayout(Layout):
    """A MobileFaceNet of any depth, width and image size.

    A subclass names the layers: those outside the bottlenecks in `LAYERS`, those of a bottleneck,
    without its prefix, in `IN_BOTTLENECK`; the keys are our names.
    """

    LAYERS: ClassVar[Mapping[str, str]]
    IN_BOTTLENECK: ClassVar[Mapping[str, str]]
    # Of the backbone's batch normalisations.
    EPSILON: ClassVar[float]
    # Arguments of EmbeddingOutput.
    EMBEDDING: ClassVar[Mapping[str, float | bool | str]] = {}

    @abc.abstractmethod
    def bottlenecks(self) -> Iterator[Bottleneck]:
        """Yields the bottlenecks in the order of the network."""

    def create_model(self) -> FaceModel:
        # The global depthwise convolution covers what all strides leave of the image.
        shrinkage = _STEM_STRIDES * math.prod(row.strides for row in self._rows)
        _, _, height, width = self._kernel("embedding/depthwise").shape
        return create_model(
            "mobilefacenet",
            embedding_dim=len(self._kernel("embedding/dense", 2, 4)),
            embedding=self.EMBEDDING,
            stages=[
                (row.expansion, row.channels, len(row.prefixes), row.strides) for row in self._rows
            ],
            stem=len(self._kernel("stem_conv")),
            last=len(self._kernel("last_conv")),
            image_shape=(shrinkage * height, shrinkage * width, 3),
            padding="symmetric",
            epsilon=self.EPSILON,
        )

    def prefix(self, layer: str) -> str:
        inside = _IN_BOTTLENECK.fullmatch(layer)
        if inside is None:
            return self.LAYERS[layer]
        stage, block, part = inside.groups()
        return self._rows[int(stage)].prefixes[int(block)] + self.IN_BOTTLENECK[part]

    @functools.cached_property
    def _rows(self) -> list[_Row]:
        rows: list[_Row] = []
        for prefix, strides in self.bottlenecks():
            wide, narrow, _, _ = self._bottleneck_kernel(prefix, "expand_conv").shape
            channels = len(self._bottleneck_kernel(prefix, "project_conv"))
            row = _Row(wide // narrow, channels, strides, [prefix])
            if rows and strides == 1 and rows[-1][:2] == row[:2]:
                rows[-1].prefixes.append(prefix)
            else:
                rows.append(row)
        return rows

    def _kernel(self, layer: str, *ranks: int) -> np.ndarray:
        name = self.FRAMEWORK.array_name(self.LAYERS[layer], "kernel")
        return self.array(name, *(ranks or (4,)))

    def _bottleneck_kernel(self, prefix: str, layer: str) -> np.ndarray:
        return self.array(
            self.FRAMEWORK.array_name(prefix + self.IN_BOTTLENECK[layer], "kernel"), 4
        )


def layer_names(
    blocks: Mapping[str, str], parts: Mapping[str, str], separator: str
) -> dict[str, str]:
    """Crosses blocks of layers with their parts: `{"stem": "conv1"}`, `{"bn": "bn"}`, ..

    Args:
        blocks: Our name of a block to the file's.
        parts: Our name of a layer in the block to the file's.
        separator: Between block and part in the file's names; in ours it is `_`.

    Returns:
        Our layer's name to the file's prefix.

    Example:
        >>> layer_names({"stem": "conv1"}, {"conv": "conv", "prelu": "relu"}, ".")
        {'stem_conv': 'conv1.conv', 'stem_prelu': 'conv1.relu'}
    """
    return {
        f"{ours}_{part}": f"{theirs}{separator}{named}"
        for ours, theirs in blocks.items()
        for part, named in parts.items()
    }
