"""Class centres: those of a margin head, whether they fit the faces, and means of embeddings."""

from typing import Final

import numpy as np
from keras import ops
from numpy.typing import NDArray

from facezoo.curation.faces import Faces
from facezoo.curation.leave_one_out import class_totals, directions
from facezoo.heads import ConcatHead, PartialFC, SubCenterArcFace
from facezoo.margin_head import LinearHead, MarginHead
from facezoo.metrics import nearest

# Fewer class means than this share at their own centre: the head knows other classes.
_TRAINED: Final = 0.5
_ROWS_AT_ONCE: Final = 2**14


def head_centers(head: MarginHead) -> NDArray[np.float32]:
    """Reads the class centres of a margin head, at unit length.

    Those of the sets of a `ConcatHead` stand below each other, as its labels count; where a class
    has fewer centres than another, its first is repeated.

    Args:
        head: Built, and without a bias: a bias moves the border between two classes away from the
            middle of their centres, so that the cosine of these says less.

    Returns:
        float32 [C, K, D]; K is 1 but for sub-centres. A centre of zeros stays one.

    Raises:
        ValueError: The head is not built, has a bias, or is of an unknown kind; or a centre is not
            finite.

    Example:
        >>> from facezoo.heads import ArcFace
        >>> head = ArcFace(num_classes=3)
        >>> head.build((None, 2))
        >>> head.set_weights([np.array([[3.0, 0.0, 0.0], [0.0, 2.0, -5.0]])])
        >>> head_centers(head).tolist()
        [[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, -1.0]]]
    """
    if isinstance(head, ConcatHead):
        return _stack([head_centers(one) for one in head.heads])
    centers = _by_class(head)
    finite = np.isfinite(centers).all(axis=(1, 2))
    if not finite.all():
        raise ValueError(
            "centers must be finite. Received: NaN or infinity in those of "
            f"{np.count_nonzero(~finite)} of {len(centers)} classes, the first "
            f"{np.argmin(finite)}. The training has diverged."
        )
    return directions(centers)


def _by_class(head: MarginHead) -> NDArray[np.float32]:
    """Returns the centres as they are, [C, K, D]."""
    if isinstance(head, LinearHead):
        raise ValueError(
            f"The centres of {type(head).__name__} cannot be compared: it is a linear classifier "
            "with a bias. Take a model with a head of normalised centres, such as cosface or "
            "arcface, or class means in place of the head's centres."
        )
    is_known = isinstance(head, SubCenterArcFace | PartialFC) or (
        isinstance(head, MarginHead) and type(head).similarity is MarginHead.similarity
    )
    if not is_known or not head.built:
        raise ValueError(
            "head must be a built head that has a centre for each class, or several. Received: "
            f"{type(head).__name__}{'' if not is_known else ', not built yet'}."
        )
    centers = np.array(ops.convert_to_numpy(head.centers), np.float32)
    if not isinstance(head, PartialFC):
        centers = centers.T
    return centers.reshape(head.num_classes, -1, centers.shape[1])


def _stack(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    place = np.arange(max(part.shape[1] for part in parts))
    return np.concatenate([part[:, np.where(place < part.shape[1], place, 0)] for part in parts])


def check_head(centers: NDArray[np.float32], faces: Faces) -> None:
    """Checks that a head belongs to the model that embedded these faces, and to their labels.

    The mean embedding of a person is nearest to their own class's centre where the head has been
    trained on them. The head of another model, or other labels, puts it anywhere.

    Args:
        centers: float32 [P, K, D], as `head_centers` gives them; row p is of `faces.people[p]`.
        faces: Embedded by the model whose head it is.

    Raises:
        ValueError: The shape does not fit, a class was never seen, or fewer than half of the
            people are nearest to their own class.
    """
    shape = (faces.num_people, faces.embedding.shape[1])
    if centers.ndim != 3 or (len(centers), centers.shape[2]) != shape:
        raise ValueError(
            f"centers must be [{shape[0]}, K, {shape[1]}], a row for everybody on the pictures and "
            f"embeddings of one length. Received: {list(centers.shape)}. Is it another model's "
            "head? Classes without pictures must be left out."
        )
    seen = centers.any(axis=(1, 2))
    if not seen.all():
        raise ValueError(
            f"{np.count_nonzero(~seen)} of {len(seen)} classes have no centre but zeros, the first "
            f"{faces.people[np.argmin(seen)]}: the head has never seen them."
        )
    means = class_means(faces)
    rows, places = np.flatnonzero(means.any(axis=1)), np.flatnonzero(centers.any(axis=2))
    _, index = nearest(means[rows], centers.reshape(-1, shape[1])[places], k=1)
    share = np.count_nonzero(places[index[:, 0]] // centers.shape[1] == rows) / len(means)
    if share < _TRAINED:
        raise ValueError(
            f"Only {share:.1%} of {len(means)} people are nearest to their own class's centre; "
            f"of a trained head's, {_TRAINED:.0%} and more are. It is another model's head, or of "
            "other labels, or it was trained too little. Take class means in place of its centres."
        )


def dominant_centers(centers: NDArray[np.float32], faces: Faces) -> NDArray[np.float32]:
    """Picks the centre that most of a class's pictures are nearest to.

    The others of a sub-centre head gather what does not belong there, somebody else's pictures
    among it, and are no witness of who is alike.

    Args:
        centers: float32 [P, K, D], row p is of `faces.people[p]`.
        faces: The pictures.

    Returns:
        float32 [P, D]; of centres with as many pictures the first.
    """
    num_people, num_centers, _ = centers.shape
    counts = np.zeros((num_people, num_centers), np.int64)
    for start in range(0, faces.num_images, _ROWS_AT_ONCE):
        label = faces.label[start : start + _ROWS_AT_ONCE]
        embedding = faces.embedding[start : start + _ROWS_AT_ONCE]
        cosine = np.einsum("nd,nkd->nk", embedding, centers[label])
        np.add.at(counts, (label, cosine.argmax(axis=1)), 1)
    return centers[np.arange(num_people), counts.argmax(axis=1)]


def class_means(faces: Faces) -> NDArray[np.float32]:
    """The direction of everybody's mean embedding, float32 [P, D]; zeros where it has none."""
    return directions(class_totals(faces.embedding, faces.label, faces.num_people))
