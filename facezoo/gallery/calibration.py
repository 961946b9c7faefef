"""The threshold at which a gallery keeps strangers out, measured on the people in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.gallery.faces import Faces
from facezoo.gallery.identify import MEAN, NEAREST, RULES
from facezoo.metrics import Searches, tpir_at_fpir

# More say no more about a FPIR of 1e-3, and take long in a gallery of a million.
_MOST_SEARCHES: Final = 20_000
_PAIRS_AT_ONCE: Final = 2**24


@dataclass(frozen=True)
class Calibration:
    """A threshold for a gallery, and what it does.

    Args:
        target: The FPIR asked for: share of searches of strangers that may name somebody.
        threshold: Squared L2 distance.
        tpir: Share of searches of enrolled people that name them; whoever has many pictures counts
            as often, and is found more easily.
        fpir: Share of searches of strangers that name somebody.
        num_mated: Searches of enrolled people behind it: a picture of each, looked for among the
            others.
        num_strangers: Searches of strangers behind it: each looked for with its person left out.
        rule: How far a person is, see `IdentifyOptions`.
        num_people: Whom the gallery had.
        generation: Of the gallery.
    """

    target: float
    threshold: float
    tpir: float
    fpir: float
    num_mated: int
    num_strangers: int
    rule: str
    num_people: int
    generation: int


def calibrate(
    faces: Faces, targets: Sequence[float], rule: str = NEAREST, allow_few: bool = False
) -> list[Calibration]:
    """Measures open-set thresholds by leaving out.

    Every picture is looked for twice: among all others, as one more picture of its person, and
    with its person left out, as a stranger. A threshold for pairs of faces knows nothing of how
    many people there are, nor how alike they are; this one does, and fits this gallery only. A
    vote of several pictures lets in as few strangers or fewer.

    Args:
        faces: What `Gallery.faces` returned.
        targets: FPIRs, each in [0, 1]; at least `10 / target` pictures are needed.
        rule: How far a person is, see `IdentifyOptions`.
        allow_few: Takes fewer too; the result then says little.

    Raises:
        ValueError: There are less than two people, nobody has a second picture, there are too few
            pictures for a target, or a target is out of range.

    Numerics:
        float32 products. Of more than 20,000 pictures, so many are looked for, evenly spread.
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}. Received: {rule!r}.")
    faces.check_not_empty()
    has_others = np.bincount(faces.label)[faces.label] > 1
    if len(faces.people) < 2 or not has_others.any():
        raise ValueError(
            "To measure a threshold, a gallery must have two people or more, and somebody with two "
            f"pictures or more. Received: {len(faces.people)} people with {len(faces)} pictures. "
            "Enrol more, or give a threshold."
        )
    rows = np.arange(len(faces))
    if len(faces) > _MOST_SEARCHES:
        rows = np.linspace(0, len(faces) - 1, _MOST_SEARCHES).astype(np.int64)
    searches = _leave_out(faces, rows, has_others[rows], rule)
    num_mated = int(np.count_nonzero(searches.rank))
    found = []
    for target in targets:
        point = tpir_at_fpir(searches, target, allow_few)
        found.append(
            Calibration(
                *(target, point.threshold, point.tpir, point.fpir),
                *(num_mated, len(rows), rule, len(faces.people), faces.generation),
            )
        )
    return found


def _leave_out(faces: Faces, rows: NDArray, has_others: NDArray, rule: str) -> Searches:
    by_person = _PersonCosines(faces, rule)
    step = max(1, _PAIRS_AT_ONCE // len(faces))
    rank, own, other = np.empty((3, len(rows)), np.float32)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        cosine, place = by_person(some), faces.label[some, None]
        to_own = np.take_along_axis(cosine, place, axis=1)
        part = slice(start, start + len(some))
        # As in metrics.search: a person at the same distance counts as nearer.
        rank[part] = np.count_nonzero(cosine >= to_own, axis=1)
        np.put_along_axis(cosine, place, -np.inf, axis=1)
        own[part], other[part] = to_own[:, 0], cosine.max(axis=1)
    mated = np.maximum(own, other)[has_others]
    cosine = np.concatenate([mated, other])
    ranks = np.concatenate([rank[has_others].astype(np.int64), np.zeros(len(rows), np.int64)])
    return Searches(ranks, np.maximum(2.0 - 2.0 * cosine, 0.0))


class _PersonCosines:
    """Cosines of pictures with every person, [B, P], of whom the picture itself is no part."""

    def __init__(self, faces: Faces, rule: str) -> None:
        self._faces, self._first = faces, faces.first_rows()
        self._totals = faces.totals() if rule == MEAN else None
        self._compared = faces.templates() if rule == MEAN else faces.embedding

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        probe, number = self._faces.embedding[rows], np.arange(len(rows))
        cosine = probe @ self._compared.T
        if self._totals is None:
            cosine[number, rows] = -np.inf
            return np.maximum.reduceat(cosine, self._first, axis=1)
        label = self._faces.label[rows]
        rest = self._totals[label] - probe
        length = np.linalg.norm(rest, axis=1)
        product = np.einsum("nd,nd->n", rest, probe)
        # Of somebody with one picture nothing but rounding is left.
        has_rest = length > 1e-3
        cosine[number, label] = np.where(has_rest, product / np.where(has_rest, length, 1), -1.0)
        return cosine
