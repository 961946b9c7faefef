"""Duplicate pictures: the same photograph more than once, of one person or under two names."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facezoo.curation.faces import Faces
from facezoo.curation.leave_one_out import class_totals
from facezoo.curation.neighbors import couples_above
from facezoo.curation.plan import DROP, KEEP, Finding, Subject
from facezoo.data.near_duplicates import PictureHashes, find_exact, near_pairs

DUPLICATE_PICTURE: Final = "duplicate_picture"
EQUAL, NEAR, ALIKE = "equal", "near", "alike"

# The hash of a picture has so many bits.
_BITS: Final = 256
_FILES_NAMED: Final = 10


@dataclass(frozen=True)
class DuplicatePictures:
    """Which pictures are taken for one photograph.

    Equal pictures (the same pixels) and near ones (perceptual hashes, `facezoo.data`) are
    duplicates. Faces that a model finds hardly different may be frames of one scene, and are listed
    only: above a cosine of .98, by FaceNet, there are 16 couples in LFW and 67 in Families In the
    Wild, of which 13 and 55 are near by their hashes too.

    Args:
        max_cosine: Faces nearer than this are listed, in (-1, 1]; None lists none.
        same_shot: Of one person's pictures, near ones that differ in more bits of 256 than this, at
            least 0, may be two shots of one session, and are listed only. A picture compressed
            anew, made smaller or larger, blurred or without its colours differs in 16 or less.
        clear_fit: Of one photograph under two names the one whose other pictures fit better by
            this cosine is right, in (0, 2].

    Raises:
        ValueError: A value is out of range.
    """

    max_cosine: float | None = 0.98
    same_shot: int = 16
    clear_fit: float = 0.3

    def __post_init__(self) -> None:
        if self.max_cosine is not None and not -1 < self.max_cosine <= 1:
            raise ValueError(
                f"max_cosine must be in (-1, 1], or None. Received: max_cosine={self.max_cosine}."
            )
        if self.same_shot < 0:
            raise ValueError(f"same_shot must be at least 0. Received: same_shot={self.same_shot}.")
        if not 0 < self.clear_fit <= 2:
            raise ValueError(f"clear_fit must be in (0, 2]. Received: clear_fit={self.clear_fit}.")


class _Group(NamedTuple):
    """One photograph.

    Args:
        rows: Its pictures, the best first: of highest norm, then the first.
        kept: Which of them stays, or None: nobody knows whom it shows.
        fits: How well the other pictures of each person on it fit, by label.
    """

    rows: NDArray[np.int64]
    kept: int | None
    fits: dict[int, float]


def find_duplicate_pictures(
    faces: Faces, options: DuplicatePictures | None = None
) -> list[Finding]:
    """Finds pictures that are there more than once.

    Of one person's equal and nearly equal pictures the best stays: that of the highest norm, of
    equal ones the first. Those that may be another shot of the session are listed only. Under two
    names a photograph is right for the person whose other pictures it fits far better (a person
    without others fits like a stranger, at 0), and the best of that person's copies stays; where
    nobody's fit is so clear, or two fit well, all are dropped, for the label cannot be known.
    Duplicate people should be one person by now.

    Args:
        faces: The pictures; without hashes only what is alike is found.
        options: What is taken for one photograph; None for the defaults.

    Returns:
        Findings: duplicates in the order of the pictures, then those that are only alike.
    """
    options = DuplicatePictures() if options is None else options
    duplicates: dict[int, Finding] = {}
    group = np.arange(faces.num_images)
    if faces.hashes is not None:
        first, second, _ = near_pairs(faces.hashes)
        # Each with the first of the same pixels, which may be itself; not all pictures are hashed.
        equal = find_exact(faces.hashes, faces.hashes)
        first, second = np.append(first, equal), np.append(second, np.arange(len(equal)))
        group = _components(faces.num_images, first, second)
        total = class_totals(faces.embedding, faces.label, faces.num_people)
        for rows in _members(group):
            photograph = _settle(faces, rows, total, options.clear_fit)
            duplicates.update(_duplicates(faces, photograph, options.same_shot))
    alike = {}
    if options.max_cosine is not None:
        alike = _alike(faces, options.max_cosine, group)
    return [found[row] for found in (duplicates, alike) for row in sorted(found)]


def _components(
    num_images: int, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    links = coo_array((np.ones(len(first), bool), (first, second)), (num_images, num_images))
    return connected_components(links, directed=False)[1]


def _members(group: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Returns the rows of every group of two or more, groups by their first row."""
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return sorted((part for part in parts if len(part) > 1), key=lambda part: part[0])


def _settle(
    faces: Faces, rows: NDArray[np.int64], total: NDArray[np.float32], clear_fit: float
) -> _Group:
    rows = rows[np.lexsort((rows, -faces.norm[rows]))]
    labels = list(dict.fromkeys(faces.label[rows].tolist()))
    if len(labels) == 1:
        return _Group(rows, int(rows[0]), {})
    fits = {}
    for label in labels:
        own = rows[faces.label[rows] == label]
        rest = total[label] - faces.embedding[own].sum(axis=0)
        length = float(np.linalg.norm(rest))
        # What is left of a person who has no other picture is rounding.
        fits[label] = float(faces.embedding[own[0]] @ rest) / length if length > 1e-3 else 0.0
    best, next_best = sorted(fits, key=lambda label: -fits[label])[:2]
    if fits[best] - fits[next_best] < clear_fit:
        return _Group(rows, None, fits)
    return _Group(rows, int(rows[faces.label[rows] == best][0]), fits)


def _duplicates(faces: Faces, group: _Group, same_shot: int) -> dict[int, Finding]:
    found = {}
    for row in group.rows.tolist():
        if row == group.kept:
            continue
        others = [other for other in group.rows.tolist() if other != row]
        same_as = others[0] if group.kept is None else group.kept
        kind, bits = _kind(faces.hashes, row, same_as)
        evidence = {
            "kind": kind,
            "same_as": _name(faces, same_as),
            "bits": bits,
            "cosine": _cosine(faces, row, same_as),
            "copies": [_name(faces, other) for other in others[:_FILES_NAMED]],
            "num_copies": len(others),
        }
        if group.fits:
            evidence["fits"] = {
                str(faces.people[label]): round(fit, 4) for label, fit in group.fits.items()
            }
            evidence["kept"] = None if group.kept is None else _name(faces, group.kept)
        score = 1.0 - (bits or 0) / _BITS
        # Under two names, as many bits are never two people: that was measured.
        is_sure = bool(group.fits) or kind == EQUAL or bits is not None and bits <= same_shot
        found[row] = _finding(faces, row, DROP if is_sure else KEEP, score, evidence)
    return found


def _kind(hashes: PictureHashes, one: int, other: int) -> tuple[str, int | None]:
    if np.array_equal(hashes.digest[one], hashes.digest[other]):
        return EQUAL, 0
    if not (hashes.hashed[one] and hashes.hashed[other]):
        return NEAR, None
    return NEAR, int(np.bitwise_count(hashes.fine[one] ^ hashes.fine[other]).sum())


def _alike(faces: Faces, max_cosine: float, group: NDArray[np.int64]) -> dict[int, Finding]:
    """Lists pictures by embedding alone, each with the one it is most like; the best is not."""
    first, second, _ = couples_above(faces.embedding, max_cosine)
    is_new = group[first] != group[second]
    first, second = first[is_new], second[is_new]
    found = {}
    for rows in _members(_components(faces.num_images, first, second)):
        rows = rows[np.lexsort((rows, -faces.norm[rows]))]
        for place, row in enumerate(rows.tolist()[1:], start=1):
            others = np.delete(rows, place)
            cosines = faces.embedding[others] @ faces.embedding[row]
            nearest = int(others[cosines.argmax()])
            evidence = {
                "kind": ALIKE,
                "same_as": _name(faces, nearest),
                "cosine": _cosine(faces, row, nearest),
                "copies": [_name(faces, int(other)) for other in others[:_FILES_NAMED]],
                "num_copies": len(others),
            }
            found[row] = _finding(faces, row, KEEP, evidence["cosine"], evidence)
    return found


def _finding(
    faces: Faces, row: int, action: str, score: float, evidence: dict[str, Any]
) -> Finding:
    subject = Subject(faces.person(row), faces.file[row])
    score = min(max(round(float(score), 6), 0.0), 1.0)
    return Finding(DUPLICATE_PICTURE, subject, action, score, evidence)


def _name(faces: Faces, row: int) -> dict[str, str]:
    person = faces.person(row)
    return {"dataset": person.dataset, "identity": person.identity, "file": faces.file[row]}


def _cosine(faces: Faces, one: int, other: int) -> float:
    return round(float(faces.embedding[one] @ faces.embedding[other]), 4)
