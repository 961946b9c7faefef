"""From embeddings of images to distances of pairs of templates, by the rule of the protocol."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.protocols import MEAN_SIMILARITY, MEDIA_MEAN, SINGLE, Protocol

# Numbers held at once in float64: 32 MiB.
_BLOCK: Final = 2**22
# A sum of vectors this much shorter than the vectors has no direction but that of rounding.
_NO_DIRECTION: Final = 1e-6
_LISTED: Final = 3


def pair_distances(
    protocol: Protocol, embedding: ArrayLike, norm: ArrayLike | None = None
) -> NDArray[np.float32]:
    """Squared L2 distance of every pair of templates.

    With the set rule `"mean_similarity"` it is `2 - 2 * mean cosine` of all image pairs of the two
    templates, which is the mean of their squared distances.

    Args:
        protocol: Whose pairs.
        embedding: float [N, D], unit length, in the order of `protocol.image`.
        norm: See `template_embeddings`.

    Returns:
        float32 [P] in [0, 4], in the order of `protocol.pair`.

    Raises:
        ValueError: As `template_embeddings`.

    Numerics:
        |a|^2 - 2ab + |b|^2 in float64 from templates rounded to float32, never below 0, then
        rounded to float32. Memory beyond the templates is bounded.
    """
    template = template_embeddings(protocol, embedding, norm)
    is_mean = protocol.set_rule == MEAN_SIMILARITY
    squared = np.einsum("md,md->m", template, template, dtype=np.float64)
    distance = np.empty(protocol.num_pairs, np.float32)
    for rows in _slices(protocol.num_pairs, template.shape[1]):
        first, second = protocol.pair[rows].T
        product = np.einsum("pd,pd->p", template[first], template[second], dtype=np.float64)
        lengths = 2.0 if is_mean else squared[first] + squared[second]
        distance[rows] = np.maximum(lengths - 2.0 * product, 0.0)
    return distance


def template_embeddings(
    protocol: Protocol, embedding: ArrayLike, norm: ArrayLike | None = None
) -> NDArray[np.float32]:
    """One vector per template, by the protocol's set rule.

    `"single"`: the image's embedding. `"mean_embedding"`: the mean over the images, at unit length.
    `"media_mean"`: the mean over the images of each medium, the sum of these, at unit length.
    `"mean_similarity"`: the mean over the images as it is, so that the product of two templates is
    the mean cosine of their image pairs.

    Args:
        protocol: Its templates and their members.
        embedding: float [N, D], unit length, in the order of `protocol.image`.
        norm: float [N], the model's norms before normalisation, to weigh images by, as IJB results
            are often given; None weighs all the same. Say which in a report.

    Returns:
        float32 [M, D]; unit length but for `"mean_similarity"`.

    Raises:
        ValueError: Shapes do not fit, numbers are not finite, embeddings are not of unit length,
            `norm` is given where images are not summed, or a template's images sum to zero.

    Numerics:
        Sums in float64.

    Source:
        IJB: deepinsight/insightface, recognition/_evaluation_/ijb/ijb_11.py, which weighs by norm
        and by the detector's score; the latter is not offered. YTF: FaceNet, arXiv 1503.03832,
        section 5.7.
    """
    embedding = _check_embedding(protocol, embedding)
    weight = _check_norm(protocol, norm)
    if protocol.set_rule == SINGLE:
        return embedding[protocol.member_image]
    order, group_of = _groups(protocol)
    template = np.empty((protocol.num_templates, embedding.shape[1]), np.float32)
    bounds = np.searchsorted(protocol.member_template, np.arange(protocol.num_templates + 1))
    for first, last in _template_blocks(bounds, embedding.shape[1]):
        members = slice(bounds[first], bounds[last])
        image, group = protocol.member_image[order[members]], group_of[members]
        owner = protocol.member_template[members]
        vectors = embedding[image].astype(np.float64) * weight[image, None]
        total = _pool(vectors, group, owner)
        if protocol.set_rule != MEAN_SIMILARITY:
            # What the sum would be if all images pointed one way.
            most = _pool(weight[image, None], group, owner)
            total = _unit(protocol, total, most, first)
        template[first:last] = total
    return template


def _groups(protocol: Protocol) -> tuple[NDArray, NDArray]:
    """Returns an order of the members, and numbers in that order that are equal within a mean.

    Members stay with their template.
    """
    template = protocol.member_template
    if protocol.set_rule != MEDIA_MEAN:
        return np.arange(len(template)), template
    order = np.lexsort((protocol.member_media, template))
    media = protocol.member_media[order]
    starts = np.append(True, (np.diff(media) != 0) | (np.diff(template) != 0))
    return order, np.cumsum(starts)


def _pool(values: NDArray, group: NDArray, template: NDArray) -> NDArray:
    """Returns the mean of the rows of each group, summed over the groups of each template."""
    starts = _starts(group)
    counts = np.diff(np.append(starts, len(group)))
    means = np.add.reduceat(values, starts) / counts[:, None]
    return np.add.reduceat(means, _starts(template[starts]))


def _starts(number: NDArray) -> NDArray:
    """Returns where runs of equal numbers begin."""
    return np.flatnonzero(np.append(True, np.diff(number) != 0))


def _unit(protocol: Protocol, total: NDArray, most: NDArray, first: int) -> NDArray:
    length = np.linalg.norm(total, axis=1, keepdims=True)
    zero = first + np.flatnonzero(length <= _NO_DIRECTION * most)
    if len(zero):
        members = protocol.member_image[protocol.member_template == zero[0]]
        raise ValueError(
            f"Template {zero[0]} has no direction: the embeddings of its {len(members)} images "
            f"sum to zero. Its images: {_names(protocol, members)}. Does the model tell images "
            "apart?"
        )
    return total / length


def _slices(count: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK // width)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _template_blocks(bounds: NDArray, width: int) -> Iterator[tuple[int, int]]:
    """Yields ranges of templates of so many members together, or of one template."""
    first, most = 0, max(1, _BLOCK // width)
    while first < len(bounds) - 1:
        last = int(np.searchsorted(bounds, bounds[first] + most, side="right")) - 1
        last = max(last, first + 1)
        yield first, last
        first = last


def _check_embedding(protocol: Protocol, embedding: ArrayLike) -> NDArray[np.float32]:
    embedding = np.asarray(embedding, np.float32)
    if embedding.ndim != 2 or len(embedding) != protocol.num_images or not embedding.shape[1]:
        raise ValueError(
            f"embedding must be [{protocol.num_images}, D], one row per image of the protocol. "
            f"Received: {list(embedding.shape)}."
        )
    # Not np.linalg.norm, which holds all squares at once.
    length = np.sqrt(np.einsum("nd,nd->n", embedding, embedding))
    if len(bad := np.flatnonzero(~(np.abs(length - 1.0) < 1e-3))):
        raise ValueError(
            f"Embeddings must be of unit length. Received: {len(bad):,} of {len(embedding):,} of "
            f"another one, such as {length[bad[0]]:g}. Their images: {_names(protocol, bad)}."
        )
    return embedding


def _check_norm(protocol: Protocol, norm: ArrayLike | None) -> NDArray[np.float64]:
    if norm is None:
        return np.ones(protocol.num_images)
    if protocol.set_rule in (SINGLE, MEAN_SIMILARITY):
        raise ValueError(
            f"norm weighs images that are summed, which {protocol.set_rule!r} does not do. "
            "Leave it out."
        )
    norm = np.asarray(norm, np.float64)
    if norm.shape != (protocol.num_images,):
        raise ValueError(
            f"norm must be [{protocol.num_images}], one per image. Received: {list(norm.shape)}."
        )
    if len(bad := np.flatnonzero(~(np.isfinite(norm) & (norm > 0)))):
        raise ValueError(
            f"Norms must be positive. Received: {len(bad):,} others, such as {norm[bad[0]]:g}. "
            f"Their images: {_names(protocol, bad)}."
        )
    return norm


def _names(protocol: Protocol, images: NDArray) -> str:
    names = [protocol.image[index] for index in images[:_LISTED]]
    return ", ".join(names) + (", ..." if len(images) > _LISTED else "")
