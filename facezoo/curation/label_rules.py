"""Three ways to see that a picture shows somebody else than it is said to; each may stand alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.centers import dominant_centers
from facezoo.curation.faces import Faces
from facezoo.curation.leave_one_out import (
    Fit,
    class_totals,
    directions,
    leave_one_out,
    strangers_limit,
)
from facezoo.curation.neighbors import nearest_pictures
from facezoo.curation.subcenters import dominant_cosine


class Vote(NamedTuple):
    """What one rule says of every picture.

    Args:
        is_wrong: bool [N]; false also where the rule cannot tell.
        value: float [N], what it is based on; NaN where the rule cannot tell.
        limit: Where the value turns from right to wrong.
    """

    is_wrong: NDArray[np.bool_]
    value: NDArray[np.floating]
    limit: float


def far_from_dominant_center(
    faces: Faces,
    max_angle: float = 75.0,
    num_centers: int = 3,
    min_images: int = 10,
    centers: NDArray[np.float32] | None = None,
) -> Vote:
    """Votes against pictures far from the sub-centre that most of the person's pictures are near.

    Args:
        faces: The pictures.
        max_angle: Degrees; 75 was found for one model, another's faces may lie closer or wider.
        num_centers: K sub-centres to look for.
        min_images: People with fewer pictures have one centre.
        centers: float32 [P, K, D] of the model's head, which `check_head` accepts; None estimates
            them, each picture left out of its own, and so does K = 1, a head without sub-centres.

    Returns:
        Votes; the value is the angle in degrees. A person with one picture is judged by a head
        alone.

    Source:
        Deng et al., "Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy Web
        Faces", ECCV 2020, section 3.3: K = 3, and 75 degrees.
    """
    if centers is not None and centers.shape[1] > 1:
        dominant = dominant_centers(centers, faces)
        cosine = np.einsum("nd,nd->n", faces.embedding, dominant[faces.label])
    else:
        cosine = dominant_cosine(
            faces.embedding, faces.label, faces.num_people, num_centers, min_images
        )
    angle = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return Vote(angle > max_angle, angle, max_angle)


def far_from_center(faces: Faces, percentile: float = 98.0, fit: Fit | None = None) -> Vote:
    """Votes against pictures that fit their person no better than a stranger would.

    Two things must hold: the cosine with the mean of the person's other pictures lies below that
    percentile of the cosines of pictures with other people, and somebody else is nearer. The first
    needs no scale of the model. The second alone says little where there are many people: among
    thousands, somebody is nearer to a poor picture than its own person.

    Args:
        faces: The pictures.
        percentile: Of strangers' cosines, in [0, 100]. Of wrong pictures so many are found.
        fit: Of `leave_one_out`, where it is known already.

    Returns:
        Votes; the value is the cosine with the own person. No vote on people with one picture.
    """
    if fit is None:
        fit = leave_one_out(faces.embedding, faces.label, faces.num_people)
    centers = directions(class_totals(faces.embedding, faces.label, faces.num_people))
    limit = strangers_limit(faces.embedding, faces.label, centers, percentile)
    return far_vote(fit, limit)


def far_vote(fit: Fit, limit: float) -> Vote:
    """Votes against pictures below a limit that have somebody else nearer."""
    return Vote((fit.own < limit) & (fit.own < fit.other), fit.own, limit)


def strange_neighbors(faces: Faces, num_neighbors: int = 10, max_agreement: float = 0.0) -> Vote:
    """Votes against pictures whose nearest pictures show other people.

    Agreement is the share of the person's pictures among the nearest; of a person with fewer other
    pictures than `num_neighbors`, so few suffice. Passing over pictures of the same scene (cosine
    above .95) was tried and changed nothing; above .9, it took from people their own pictures.

    Args:
        faces: The pictures.
        num_neighbors: How many to look at, at least 1.
        max_agreement: In [0, 1): at this agreement and below there is a vote.

    Returns:
        Votes; the value is the agreement. No vote on people with one picture.
    """
    index = nearest_pictures(faces.embedding, num_neighbors)
    num_own = (faces.label[index] == faces.label[:, None]).sum(axis=1)
    most = np.minimum(num_neighbors, faces.num_images_of()[faces.label] - 1)
    none = np.full(len(most), np.nan)
    agreement = np.divide(num_own, most, out=none, where=most > 0)
    return Vote(agreement <= max_agreement, agreement, max_agreement)
