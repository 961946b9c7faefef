"""Hard examples: the pictures that teach most, as a set of their own."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.faces import Faces
from facezoo.curation.leave_one_out import class_totals, directions, leave_one_out, nearest_other
from facezoo.curation.low_norms import check_norms

LOSS, MARGIN, NORM = "loss", "margin", "norm"
BY: Final = (LOSS, MARGIN, NORM)

# Logits held at once: 16 MiB.
_LOGITS: Final = 2**22
_CANDIDATES: Final = 512
# Keeps 22 * (13 / 22) from being 12, as in `facezoo.mining`.
_ROUNDING: Final = 1e-4


@dataclass(frozen=True)
class HardExamples:
    """Which pictures are hard, and how many of them are taken.

    Args:
        by: `"loss"`, cross-entropy of cosines with the class centres; `"margin"`, by how much
            another person is nearer than the own; or `"norm"`, the lowest first.
        count: How many, at least 1; None for `fraction`.
        fraction: Share of the candidates, in (0, 1].
        max_similarity: Of two pictures with a higher cosine only the harder is taken: above .95
            they mostly are frames of one scene.
        noisy_fraction: Share of the candidates, in [0, 1), the very hardest, that is never taken:
            wrong labels gather there.
        scale: Factor in front of the cosines, above 0.

    Raises:
        ValueError: A value is out of range.
    """

    by: str = LOSS
    count: int | None = None
    fraction: float = 0.1
    max_similarity: float = 0.95
    noisy_fraction: float = 0.01
    scale: float = 64.0

    def __post_init__(self) -> None:
        checks = {
            "by": (self.by in BY, f"one of {', '.join(BY)}"),
            "count": (self.count is None or self.count >= 1, "at least 1, or None for a fraction"),
            "fraction": (0 < self.fraction <= 1, "in (0, 1]"),
            "max_similarity": (-1 <= self.max_similarity <= 1, "a cosine, in [-1, 1]"),
            "noisy_fraction": (0 <= self.noisy_fraction < 1, "in [0, 1)"),
            "scale": (0 < self.scale < float("inf"), "above 0"),
        }
        for name, (holds, expected) in checks.items():
            if not holds:
                value = getattr(self, name)
                raise ValueError(f"{name} must be {expected}. Received: {name}={value!r}.")


@dataclass(frozen=True, eq=False)
class HardSet:
    """Hard examples, the hardest first.

    Args:
        rows: int64 [k], which pictures.
        value: float32 [k], loss, margin or norm of each.
    """

    rows: NDArray[np.int64]
    value: NDArray[np.float32]


def select_hard_examples(
    faces: Faces,
    options: HardExamples | None = None,
    excluded: NDArray[np.bool_] | None = None,
    centers: NDArray[np.float32] | None = None,
) -> HardSet:
    """Selects the hardest pictures, noise and near-duplicates left out.

    Args:
        faces: The pictures.
        options: Which, and how many; None for the defaults.
        excluded: bool [N], pictures that may be wrong: the hardest of all, and they teach errors.
        centers: float32 [P, K, D], unit length, of a head; None takes the means of people's
            embeddings, each picture left out of its own. People with one picture then have no
            loss and no margin, and are no candidates.

    Raises:
        ValueError: `excluded` does not fit, or all norms are equal where they are asked for.

    Source:
        Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
        Mining", arXiv 1604.03540, section 4, as `facezoo.mining.select_hard`.
    """
    options = HardExamples() if options is None else options
    excluded = np.zeros(faces.num_images, bool) if excluded is None else np.asarray(excluded)
    if excluded.shape != (faces.num_images,) or excluded.dtype != bool:
        raise ValueError(
            f"excluded must be bool [{faces.num_images}], one for each picture. Received: "
            f"{excluded.dtype} {excluded.shape}."
        )
    value = _values(faces, options, centers)
    candidates = np.flatnonzero(~excluded & np.isfinite(value))
    hardness = value if options.by == LOSS else -value
    order = candidates[np.argsort(-hardness[candidates], kind="stable")]
    count = options.count
    if count is None:
        count = max(1, int(len(order) * options.fraction + _ROUNDING))
    order = order[int(len(order) * options.noisy_fraction + _ROUNDING) :]
    rows = _apart(faces.embedding, order, count, options.max_similarity)
    return HardSet(rows, value[rows])


def cosine_losses(
    faces: Faces, scale: float, centers: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Returns the cross-entropy of every picture, `-log softmax(scale * cosine)` at its label.

    Args:
        faces: The pictures.
        scale: Factor in front of the cosines.
        centers: float32 [P, K, D]: the nearest of each person's K counts; None takes leave-one-out
            means.

    Returns:
        float32 [N]; NaN where nothing is known of the person but this picture.

    Numerics:
        A few rows at a time: never N x P in memory.
    """
    if centers is None:
        fit = leave_one_out(faces.embedding, faces.label, faces.num_people)
        total = class_totals(faces.embedding, faces.label, faces.num_people)
        centers, own = directions(total)[:, None], fit.own
    else:
        own = np.einsum("nd,nkd->nk", faces.embedding, centers[faces.label]).max(axis=1)
    num_people, num_centers, dim = centers.shape
    flat = np.ascontiguousarray(centers.reshape(-1, dim).T)
    loss = np.empty(faces.num_images, np.float32)
    rows_at_once = max(1, _LOGITS // flat.shape[1])
    for start in range(0, faces.num_images, rows_at_once):
        rows = np.arange(start, min(start + rows_at_once, faces.num_images))
        cosine = (faces.embedding[rows] @ flat).reshape(-1, num_people, num_centers).max(axis=2)
        cosine[np.arange(len(rows)), faces.label[rows]] = own[rows]
        logits = scale * (cosine - own[rows, None])
        top = np.maximum(logits.max(axis=1), 0.0)
        loss[rows] = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return loss


def _values(
    faces: Faces, options: HardExamples, centers: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    if options.by == NORM:
        check_norms(faces.norm)
        return faces.norm
    if options.by == LOSS:
        return cosine_losses(faces, options.scale, centers)
    if centers is None:
        fit = leave_one_out(faces.embedding, faces.label, faces.num_people)
        return fit.own - fit.other
    own = np.einsum("nd,nkd->nk", faces.embedding, centers[faces.label]).max(axis=1)
    return own - nearest_other(faces.embedding, faces.label, centers)[0]


def _apart(
    embedding: NDArray[np.float32], order: NDArray[np.int64], count: int, max_similarity: float
) -> NDArray[np.int64]:
    """Takes rows in their order, but none too near to one that is taken; at most `count`."""
    taken: list[int] = []
    for start in range(0, len(order), _CANDIDATES):
        block = order[start : start + _CANDIDATES]
        vectors = embedding[block]
        is_open = np.ones(len(block), bool)
        for first in range(0, len(taken), _CANDIDATES):
            before = embedding[taken[first : first + _CANDIDATES]]
            is_open &= ~np.any(vectors @ before.T > max_similarity, axis=1)
        is_alike = vectors @ vectors.T > max_similarity
        for place in range(len(block)):
            if len(taken) == count:
                return np.array(taken, np.int64)
            if is_open[place]:
                taken.append(int(block[place]))
                is_open[is_alike[place]] = False
    return np.array(taken, np.int64)
