"""Labeled Faces in the Wild: View 1 to choose a model with, View 2 to report its accuracy."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from facezoo.protocols.image_pairs import image_pairs
from facezoo.protocols.protocol import Protocol
from facezoo.protocols.text import fail, read_lines

# SHA-256 of the published lists, as scikit-learn's `datasets/_lfw.py` gives them for pairsDevTrain,
# pairsDevTest and pairs.txt: 1,100 + 1,100, 500 + 500 and 10 times 300 + 300 pairs.
_PUBLISHED: Final = {
    "1d454dada7dfeca0e7eab6f65dc4e97a6312d44cf142207be28d688be92aabfa": "lfw_view1_train",
    "7cb06600ea8b2814ac26e946201cdb304296262aad67d046a16a7ec85d0ff87c": "lfw_view1_test",
    "ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592": "lfw_view2",
}
CUSTOM: Final = "lfw_custom"


class _Pair(NamedTuple):
    images: tuple[str, str]
    people: tuple[str, str]


def read_lfw(path: Path) -> Protocol:
    """Reads a list of pairs in LFW's form.

    View 1 begins with one count n, View 2 with two, folds and n; then come, for every fold, n
    lines `name, number, number` of one person and n lines `name, number, name, number` of two.

    Args:
        path: pairsDevTrain.txt, pairsDevTest.txt, pairs.txt, or a list of that form; fields are
            separated by tabs or blanks.

    Returns:
        Images are named `Name/Name_0001`. Only the published lists are called `"lfw_view1_train"`,
        `"lfw_view1_test"` and `"lfw_view2"`, known by their checksum: a part of them, or one with
        changed labels, is `"lfw_custom"`.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not of that form, or the pairs are not as many as it says.

    Source:
        G. Huang et al., "Labeled Faces in the Wild", report 07-49, 2007, section III.
    """
    path = Path(path)
    rows = [_fields(line) for line in read_lines(path)]
    num_folds, num_each = _counts(path, rows[0])
    expected = 2 * num_folds * num_each
    if len(rows) - 1 != expected:
        raise ValueError(
            f"{path} must hold {expected:,} pairs after line 1, which says {num_folds} times "
            f"{num_each} + {num_each}. Received: {len(rows) - 1:,}. Is the file cut off, or "
            "joined with another one?"
        )
    pairs, same, fold = [], [], []
    for number, row in enumerate(rows[1:]):
        same.append(number // num_each % 2 == 0)
        fold.append(number // (2 * num_each))
        pairs.append(_pair(path, number + 2, row, same[-1]))
    people = {image: who for pair in pairs for image, who in zip(*pair, strict=True)}
    images = [pair.images for pair in pairs]
    folds = fold if num_folds > 1 else None
    return image_pairs(_name(rows), images, same, people, folds)


def _fields(line: str) -> list[str]:
    fields = line.split("\t") if "\t" in line else line.split()
    return [field.strip() for field in fields]


def _counts(path: Path, row: Sequence[str]) -> tuple[int, int]:
    numbers = [_positive(field) for field in row]
    if len(row) not in (1, 2) or 0 in numbers or (len(row) == 2 and numbers[0] < 2):
        raise fail(path, 1, "one count (View 1), or the numbers of folds and of pairs", row)
    return (1, numbers[0]) if len(row) == 1 else (numbers[0], numbers[1])


def _pair(path: Path, line: int, row: Sequence[str], is_genuine: bool) -> _Pair:
    expected = "name, number, number" if is_genuine else "name, number, name, number"
    if len(row) != (3 if is_genuine else 4):
        raise fail(path, line, expected, row)
    first, second = (row[0], row[1]), (row[0], row[2]) if is_genuine else (row[2], row[3])
    for name, number in (first, second):
        if not name or not _positive(number):
            raise fail(path, line, f"{expected}, with numbers from 1", row)
    if first == second:
        raise fail(path, line, "two images", row)
    if first[0] == second[0] and not is_genuine:
        raise fail(path, line, "two people", row)
    images = tuple(f"{name}/{name}_{int(number):04d}" for name, number in (first, second))
    return _Pair(images, (first[0], second[0]))


def _positive(field: str) -> int:
    """Returns the number a field holds, 0 if it holds none."""
    return int(field) if re.fullmatch("[0-9]{1,9}", field) else 0


def _name(rows: Sequence[Sequence[str]]) -> str:
    # Line ends and blanks may have changed on the way; the published files have neither.
    text = "".join("\t".join(row) + "\n" for row in rows)
    return _PUBLISHED.get(hashlib.sha256(text.encode()).hexdigest(), CUSTOM)
