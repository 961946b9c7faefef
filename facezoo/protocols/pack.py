"""CFP, AgeDB, CALFW, CPLFW and LFW as InsightFace hands them out: one `.bin` file each."""

from pathlib import Path
from typing import Final

import numpy as np

from facezoo.protocols.image_pairs import image_pairs
from facezoo.protocols.images import PackImages
from facezoo.protocols.pack_content import read_pack_content
from facezoo.protocols.protocol import Protocol

# Pairs of the published packs by file name; half of them are genuine.
PUBLISHED: Final = {
    "lfw": 6_000,
    "agedb_30": 6_000,
    "calfw": 6_000,
    "cplfw": 6_000,
    "cfp_ff": 7_000,
    "cfp_fp": 7_000,
}
_NUM_FOLDS: Final = 10


def read_pack(path: Path) -> tuple[Protocol, PackImages]:
    """Reads the pairs of a pack, and its images.

    Args:
        path: A `.bin` file with two encoded images per pair. One that has the file name of a
            published pack, such as `cfp_fp.bin`, must be whole.

    Returns:
        `(protocol, images)`; the name is `"pack_"` and the file's. Folds are ten blocks of equal
        size in the pack's order, if each holds as many genuine as impostor pairs, as in the
        published packs; else there are none. Persons are not known.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no pack, it asks to run code, or it is not whole.

    Source:
        deepinsight/insightface, recognition/arcface_torch/eval/verification.py: two images per
        pair, ten folds in order. S. Sengupta et al., WACV 2016 (CFP, 10 x 350 + 350); S. Moschoglou
        et al., CVPRW 2017 (AgeDB, 10 x 300 + 300); T. Zheng et al., arXiv 1708.08197 (CALFW).
    """
    path = Path(path)
    images, same = read_pack_content(path)
    num_genuine, expected = sum(same), PUBLISHED.get(path.stem)
    if expected and (len(same), num_genuine) != (expected, expected // 2):
        raise ValueError(
            f"{path} has the name of a published pack of {expected:,} pairs, half of them genuine. "
            f"Received: {len(same):,} pairs, {num_genuine:,} of them genuine. Copy it again, or "
            "rename it if it is meant to be another one."
        )
    source = PackImages(images)
    pairs = list(zip(source.names[0::2], source.names[1::2], strict=True))
    name, fold = f"pack_{path.stem}", _folds(np.array(same))
    return image_pairs(name, pairs, same, people={}, fold=fold), source


def _folds(same: np.ndarray) -> np.ndarray | None:
    # A pack in another order, say all genuine pairs first, has folds that nothing can be tested on.
    if not len(same) or len(same) % _NUM_FOLDS:
        return None
    genuine = same.reshape(_NUM_FOLDS, -1).sum(axis=1)
    if np.any(2 * genuine * _NUM_FOLDS != len(same)):
        return None
    return np.repeat(np.arange(_NUM_FOLDS), len(same) // _NUM_FOLDS)
