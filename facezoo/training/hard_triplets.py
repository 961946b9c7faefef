"""The hardest triplets of a probe, found and drawn: what a model mistakes for what."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facezoo import mining
from facezoo.data.images import encode_png, resize
from facezoo.training.probe import Probe

_SIDE = 128
_GAP = 6
_FONT_SIZE = 11
_LINE = 14
_WHITE, _BLACK, _RED = (255, 255, 255), (0, 0, 0), (192, 0, 0)


class Triplet(NamedTuple):
    """Three images of a probe, by row, and two distances."""

    anchor: int
    positive: int
    negative: int
    d_ap: float
    d_an: float


def hardest_triplets(distances: NDArray, label: NDArray, count: int) -> list[Triplet]:
    """Finds anchors whose farthest positive is far and whose nearest negative is near.

    Args:
        distances: float [N, N].
        label: int [N], two identities or more.
        count: How many at most.

    Returns:
        By falling `d_ap - d_an`, one of each identity: a single stray image is the farthest
        positive of all its person's others and would fill the list.
    """
    label = np.asarray(label)
    is_same = label[:, None] == label[None, :]
    is_positive = is_same & ~np.eye(len(label), dtype=bool)
    positive = _column(mining.hardest_positives(distances, is_positive))
    negative = _column(mining.hardest_negatives(distances, ~is_same))
    row = np.arange(len(label))
    d_ap, d_an = distances[row, positive], distances[row, negative]
    hardness = np.where(is_positive.any(axis=1), d_ap - d_an, -np.inf)
    by_hardness = np.argsort(-hardness, kind="stable")
    _, first = np.unique(label[by_hardness], return_index=True)
    anchors = [anchor for anchor in by_hardness[np.sort(first)] if np.isfinite(hardness[anchor])]
    return [
        Triplet(*map(int, (one, positive[one], negative[one])), float(d_ap[one]), float(d_an[one]))
        for one in anchors[:count]
    ]


def _column(found: NDArray) -> NDArray[np.int32]:
    return ops.convert_to_numpy(found)[:, 0]


def draw_triplets(triplets: Sequence[Triplet], probe: Probe) -> bytes:
    """Draws one row per triplet: anchor, farthest positive, nearest negative, with captions.

    A row whose positive is farther than its negative has its distances in red.

    Args:
        triplets: One or more.
        probe: Where the images come from.

    Returns:
        A PNG.
    """
    height, width = _cell_size(*probe.image.shape[1:3])
    step = height + 2 * _LINE + _GAP
    sheet = Image.new("RGB", (3 * (width + _GAP) + _GAP, len(triplets) * step + _GAP), _WHITE)
    names = probe.names()
    for row, one in enumerate(triplets):
        color = _RED if one.d_ap > one.d_an else _BLACK
        captions = ("anchor", f"genuine {one.d_ap:.3f}", f"impostor {one.d_an:.3f}")
        for column, (index, caption) in enumerate(zip(one[:3], captions, strict=True)):
            corner = (_GAP + column * (width + _GAP), _GAP + row * step)
            picture = resize(probe.pixels(index), height, width)
            cell = _cell(picture, names[index], caption, color if column else _BLACK)
            sheet.paste(cell, corner)
    return encode_png(np.asarray(sheet))


def _cell_size(height: int, width: int) -> tuple[int, int]:
    """At least `_SIDE` wide, for the captions; the picture keeps its proportions."""
    scale = max(1.0, _SIDE / width)
    return math.ceil(height * scale), math.ceil(width * scale)


def _cell(
    picture: NDArray[np.uint8], name: str, caption: str, color: tuple[int, int, int]
) -> Image.Image:
    height, width = picture.shape[:2]
    cell = Image.new("RGB", (width, height + 2 * _LINE), _WHITE)
    cell.paste(Image.fromarray(picture))
    pen = ImageDraw.Draw(cell)
    pen.font = ImageFont.load_default(_FONT_SIZE)
    # What does not fit is cut off at the cell's edge.
    pen.text((0, height), name, fill=_BLACK)
    pen.text((0, height + _LINE), caption, fill=color)
    return cell
