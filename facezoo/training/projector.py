"""Files for TensorBoard's embedding projector: vectors, names, thumbnails and what ties them."""

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray
from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from facezoo.data.images import encode_png, resize
from facezoo.training.probe import Embedded, Probe

TENSORS: Final = "projector_tensors.tsv"
METADATA: Final = "projector_metadata.tsv"
SPRITE: Final = "projector_sprite.png"
# What browsers still draw: 8,192 pixels a side.
_SPRITE_SIDE = 8192
_THUMBNAIL_SIDE = 64


def thumbnail_size(count: int, height: int, width: int) -> tuple[int, int]:
    """Returns (height, width) with which pictures in a square grid make one that browsers draw.

    Args:
        count: How many pictures.
        height: Of each, pixels.
        width: Of each, pixels.
    """
    side = min(_THUMBNAIL_SIDE, _SPRITE_SIDE // math.ceil(math.sqrt(count)))
    scale = min(1.0, side / max(height, width))
    return max(1, int(height * scale)), max(1, int(width * scale))


def write_projector(folder: Path, probe: Probe, embedded: Embedded) -> None:
    """Writes, or replaces, what the projector shows for a run.

    A TensorBoard that has already shown the vectors goes on showing them until it is restarted.

    Args:
        folder: The run, which is there.
        probe: Where names and thumbnails come from.
        embedded: What the model makes of the probe.
    """
    size = thumbnail_size(*probe.image.shape[:3])
    vectors = ((f"{value:.7g}" for value in row) for row in embedded.embedding)
    _replace(folder / TENSORS, _table(vectors))
    names = zip(probe.names(), probe.label, embedded.norm, strict=True)
    rows = [("name", "label", "norm"), *((name, one, f"{norm:.4g}") for name, one, norm in names)]
    _replace(folder / METADATA, _table(rows))
    _replace(folder / SPRITE, encode_png(_sprite(probe, *size)))
    # The last: it names the others.
    _replace(folder / PROJECTOR_FILENAME, _config(size).encode())


def _sprite(probe: Probe, height: int, width: int) -> NDArray[np.uint8]:
    side = math.ceil(math.sqrt(len(probe.label)))
    sheet = np.full((side * height, side * width, 3), 255, np.uint8)
    for index in range(len(probe.label)):
        top, left = index // side * height, index % side * width
        thumbnail = resize(probe.pixels(index), height, width)
        sheet[top : top + height, left : left + width] = thumbnail
    return sheet


def _table(rows: Iterable[Iterable[Any]]) -> bytes:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()


def _config(thumbnail_size: Sequence[int]) -> str:
    height, width = thumbnail_size
    config = ProjectorConfig()
    one = config.embeddings.add(
        tensor_name="embedding", tensor_path=TENSORS, metadata_path=METADATA
    )
    one.sprite.image_path = SPRITE
    one.sprite.single_image_dim.extend([width, height])
    return text_format.MessageToString(config)


def _replace(path: Path, content: bytes) -> None:
    # TensorBoard may be reading.
    aside = path.with_name(path.name + ".partial")
    aside.write_bytes(content)
    os.replace(aside, path)
