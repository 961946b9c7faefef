"""IJB-B and IJB-C, 1:1: templates of many media, millions of pairs, from two lists."""

import re
import warnings
from pathlib import Path
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from facezoo.protocols.checks import listing
from facezoo.protocols.protocol import MEDIA_MEAN, UNKNOWN, Protocol
from facezoo.protocols.text import fail, read_lines

_MEDIA: Final = "*_face_tid_mid.txt"
_PAIRS: Final = "*_template_pair_label.txt"
# Images, templates, genuine and impostor pairs of the published lists.
_PUBLISHED: Final = {
    (227_630, 12_115, 10_270, 8_000_000): "ijbb",
    (469_375, 23_124, 19_557, 15_638_932): "ijbc",
}
CUSTOM: Final = "ijb_custom"
_NUMBER: Final = re.compile("[0-9]{1,18}")
# Lines of pairs read at once: 24 MiB.
_BLOCK: Final = 2**20


def read_ijb(folder: Path) -> Protocol:
    """Reads the lists of IJB-B or IJB-C, as the field exchanges them.

    Args:
        folder: Holds one `*_face_tid_mid.txt`, with lines `image, template, medium`, and one
            `*_template_pair_label.txt`, with lines `template, template, 1 or 0`.

    Returns:
        The protocol with the set rule `"media_mean"`; `"ijbb"` or `"ijbc"` if there are exactly as
        many images, templates, genuine and impostor pairs as published, else `"ijb_custom"`.
        Templates are numbered in the order of their numbers in the lists. Persons are not known,
        and there are no folds.

    Raises:
        OSError: A list is not there or cannot be read.
        ValueError: A line does not fit, or pairs name templates that have no image.

    Source:
        C. Whitelam et al., "IARPA Janus Benchmark-B", CVPRW 2017; B. Maze et al., "IARPA Janus
        Benchmark - C", ICB 2018. Lists and rule: deepinsight/insightface,
        recognition/_evaluation_/ijb/ijb_11.py.
    """
    media_path, pairs_path = (_only(Path(folder), pattern) for pattern in (_MEDIA, _PAIRS))
    image, template, media = _read_media(media_path)
    # Members of a template in the order of the list.
    order = np.argsort(template, kind="stable")
    known, member_template = np.unique(template[order], return_inverse=True)
    pair, same = _read_pairs(pairs_path, known)
    names = list(dict.fromkeys(image))
    number = {name: index for index, name in enumerate(names)}
    counts = (len(names), len(known), int(same.sum()), int((~same).sum()))
    return Protocol(
        _PUBLISHED.get(counts, CUSTOM),
        image=names,
        member_image=np.array([number[name] for name in image])[order],
        member_template=member_template,
        member_media=media[order],
        pair=pair,
        same=same,
        person=np.full(len(known), UNKNOWN),
        set_rule=MEDIA_MEAN,
    )


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(
            f"{folder} must hold one file {pattern}. "
            f"Received: {listing([path.name for path in found]) or 'none'}."
        )
    return found[0]


def _read_media(path: Path) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    image, numbers = [], []
    for line, text in enumerate(read_lines(path), start=1):
        fields = text.rsplit(maxsplit=2)
        if len(fields) != 3 or not all(map(_NUMBER.fullmatch, fields[1:])):
            raise fail(path, line, "an image, the numbers of its template and its medium", text)
        image.append(fields[0])
        numbers.append((int(fields[1]), int(fields[2])))
    template, media = np.array(numbers, np.int64).T
    return image, template, media


def _read_pairs(
    path: Path, known: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Reads pairs of templates by blocks, as places in the sorted numbers `known`."""
    pairs, same, unknown = [], [], set()
    with path.open(encoding="utf-8") as lines:
        while len(block := _read_block(path, lines, sum(map(len, same)))):
            place = np.searchsorted(known, block[:, :2])
            place[place == len(known)] = 0
            unknown.update(block[:, :2][known[place] != block[:, :2]].tolist())
            pairs.append(place.astype(np.int32))
            same.append(block[:, 2] == 1)
    if unknown:
        raise ValueError(
            f"{path} names {len(unknown):,} templates that have no image in the list of media: "
            f"{listing(sorted(unknown))}. Are both lists of one benchmark?"
        )
    if not pairs:
        raise ValueError(f"{path} is empty. Copy it again.")
    return np.concatenate(pairs), np.concatenate(same)


def _read_block(path: Path, lines: TextIO, num_before: int) -> NDArray[np.int64]:
    try:
        with warnings.catch_warnings():
            # NumPy warns of an end of file, which every file has.
            warnings.simplefilter("ignore")
            block = np.loadtxt(lines, dtype=np.int64, comments=None, max_rows=_BLOCK, ndmin=2)
    except ValueError as error:
        raise ValueError(
            f"{path}, counted from line {num_before + 1}: expected two templates and a label, "
            f"whole numbers. Received: {error}"
        ) from error
    if block.size and block.shape[1] != 3:
        raise fail(path, num_before + 1, "two templates and a label", block[0].tolist())
    if len(wrong := np.flatnonzero(~np.isin(block[:, 2:], (0, 1)))):
        received = int(block[wrong[0], 2])
        raise fail(path, num_before + int(wrong[0]) + 1, "1 or 0 as label", received)
    return block
