"""Sub-centres: a person's pictures in a few groups, the largest of which says who it is."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.leave_one_out import class_totals, directions

_ITERATIONS: Final = 10
_ROWS_AT_ONCE: Final = 2**12


def dominant_cosine(
    embedding: NDArray[np.float32],
    label: NDArray[np.integer],
    num_people: int,
    num_centers: int,
    min_images: int,
) -> NDArray[np.float32]:
    """Compares every picture with the mean of its person's largest group, itself left out.

    Groups are found by spherical k-means, within each person. It starts from the picture nearest
    to the person's mean, and goes on to those farthest from all before; so no chance is in it.

    Args:
        embedding: float32 [N, D], unit length.
        label: int [N] in [0, P).
        num_people: P.
        num_centers: K groups.
        min_images: A person with fewer pictures is one group.

    Returns:
        Cosine, float32 [N]; NaN where nothing is left to compare with.

    Source:
        Deng et al., "Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy Web
        Faces", ECCV 2020, section 3.2: the centres are a head's there.
    """
    is_split = np.bincount(label, minlength=num_people) >= min_images
    assigned = np.zeros(len(label), np.int64)
    rows = np.flatnonzero(is_split[label])
    if rows.size:
        people, own = np.unique(label[rows], return_inverse=True)
        assigned[rows] = _groups(embedding[rows], own, len(people), num_centers)
    counts = np.bincount(label * num_centers + assigned, minlength=num_people * num_centers)
    dominant = counts.reshape(num_people, num_centers).argmax(axis=1)
    inside = assigned == dominant[label]
    total = class_totals(embedding[inside], label[inside], num_people)
    cosine = np.empty(len(label), np.float32)
    for start in range(0, len(label), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        rest = total[label[part]] - embedding[part] * inside[part, None]
        product = np.einsum("nd,nd->n", directions(rest), embedding[part])
        cosine[part] = np.where(np.any(rest, axis=1), product, np.nan)
    return cosine


def _groups(
    embedding: NDArray[np.float32], label: NDArray[np.integer], num_people: int, num_centers: int
) -> NDArray[np.int64]:
    centers = _start(embedding, label, num_people, num_centers)
    assigned = _nearest_own(embedding, label, centers)
    for _ in range(_ITERATIONS):
        group = label * num_centers + assigned
        moved = directions(class_totals(embedding, group, num_people * num_centers))
        is_used = np.bincount(group, minlength=num_people * num_centers) > 0
        centers.reshape(-1, centers.shape[-1])[is_used] = moved[is_used]
        before, assigned = assigned, _nearest_own(embedding, label, centers)
        if np.array_equal(before, assigned):
            break
    return assigned


def _start(
    embedding: NDArray[np.float32], label: NDArray[np.integer], num_people: int, num_centers: int
) -> NDArray[np.float32]:
    """Returns pictures far from each other, [P, K, D]; the first is nearest to the mean."""
    mean = directions(class_totals(embedding, label, num_people))
    centers = np.empty((num_people, num_centers, embedding.shape[1]), np.float32)
    alike = -np.einsum("nd,nd->n", embedding, mean[label])
    for place in range(num_centers):
        order = np.lexsort((np.arange(len(label)), alike, label))
        first = order[np.searchsorted(label[order], np.arange(num_people))]
        centers[:, place] = embedding[first]
        cosine = np.einsum("nd,nd->n", embedding, centers[label, place])
        alike = cosine if place == 0 else np.maximum(alike, cosine)
    return centers


def _nearest_own(
    embedding: NDArray[np.float32], label: NDArray[np.integer], centers: NDArray[np.float32]
) -> NDArray[np.int64]:
    assigned = np.empty(len(label), np.int64)
    for start in range(0, len(label), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        cosine = np.einsum("nd,nkd->nk", embedding[part], centers[label[part]])
        assigned[part] = cosine.argmax(axis=1)
    return assigned
