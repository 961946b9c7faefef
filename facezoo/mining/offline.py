"""Offline triplets: each anchor's farthest positive and nearest negative among many embeddings."""

from collections.abc import Callable, Iterator

import numpy as np

# What |a|^2 + |b|^2 - 2ab leaves of two equal points, beside |a|^2 + |b|^2.
_ROUNDING = 1e-12
_NEGATIVES = ("hardest", "semi-hard")
_Tile = tuple[slice, np.ndarray, np.ndarray]


def mine_triplets(
    embedding: np.ndarray,
    label: np.ndarray,
    num_triplets: int | None = None,
    negatives: str = "hardest",
    block_size: int = 1024,
    seed: int = 0,
) -> np.ndarray:
    """Makes one triplet for every anchor: of all images, or of as many as a machine can embed.

    Squared L2 distances, in NumPy, a tile of `block_size` x `block_size` at a time: memory does not
    grow with the square of the number of images. Of equal distances the first image is taken.

    Args:
        embedding: float [N, D].
        label: int [N], equal numbers for equal identities.
        num_triplets: How many anchors, drawn by `seed`; None for all. An anchor without another
            image of its identity, or without another identity, has no triplet.
        negatives: `"hardest"`: the nearest of all. `"semi-hard"`: the nearest beyond the positive,
            or, where there is none, the farthest of all.
        block_size: Rows and columns of a tile, at least 1.
        seed: Decides which anchors are drawn.

    Returns:
        int64 [T, 3], rows of `embedding`: anchor, positive, negative; anchors in rising order.

    Raises:
        ValueError: An argument is out of range, or the shapes do not fit.

    Numerics:
        Distances are computed in float64 and compared in float32, what is only rounding as 0, so
        that the distances to two copies of one image are equal in whatever tiles they stand.

    Example:
        >>> points = np.array([[0.0], [2.0], [3.0], [7.0]])
        >>> mine_triplets(points, np.array([0, 0, 1, 1])).tolist()
        [[0, 1, 2], [1, 0, 2], [2, 3, 1], [3, 2, 1]]

    Source:
        FaceNet, arXiv 1503.03832, section 3.2 (triplets generated offline).
    """
    embedding, label = np.asarray(embedding, np.float64), np.asarray(label)
    if embedding.ndim != 2 or label.shape != embedding.shape[:1]:
        raise ValueError(
            "embedding must be [N, D] and label [N]. "
            f"Received: shapes {embedding.shape} and {label.shape}."
        )
    if negatives not in _NEGATIVES:
        raise ValueError(f"negatives must be one of {_NEGATIVES}. Received: {negatives!r}.")
    for name, value in (("num_triplets", num_triplets), ("block_size", block_size)):
        if value is not None and int(value) < 1:
            raise ValueError(f"{name} must be at least 1. Received: {name}={value!r}.")
    anchors = _draw_anchors(label, num_triplets, seed)
    blocks = [
        _mine_block(embedding, label, anchors[start : start + block_size], negatives, block_size)
        for start in range(0, len(anchors), block_size)
    ]
    return np.concatenate([np.empty((0, 3), np.int64), *blocks])


def _draw_anchors(label: np.ndarray, num_triplets: int | None, seed: int) -> np.ndarray:
    _, identity, count = np.unique(label, return_inverse=True, return_counts=True)
    able = np.flatnonzero(count[identity] > 1) if len(count) > 1 else np.empty(0, np.int64)
    if num_triplets is None or num_triplets >= len(able):
        return able
    return np.sort(np.random.default_rng(seed).choice(able, num_triplets, replace=False))


def _mine_block(
    embedding: np.ndarray, label: np.ndarray, anchors: np.ndarray, negatives: str, block_size: int
) -> np.ndarray:
    def tiles() -> Iterator[_Tile]:
        return _distance_tiles(embedding, label, anchors, block_size)

    d_ap, positive = _extreme(tiles(), _farthest_positive(anchors))
    distance, negative = _extreme(tiles(), _nearest_negative(d_ap, negatives))
    is_missing = ~np.isfinite(distance)
    if is_missing.any():
        _, farthest = _extreme(tiles(), lambda tile: np.where(tile[2], -np.inf, tile[1]))
        negative = np.where(is_missing, farthest, negative)
    return np.stack([anchors, positive, negative], axis=1).astype(np.int64)


def _distance_tiles(
    embedding: np.ndarray, label: np.ndarray, anchors: np.ndarray, block_size: int
) -> Iterator[_Tile]:
    """Yields columns, the anchors' squared distances to them, and who shows the same identity."""
    rows = embedding[anchors]
    lengths = np.sum(np.square(rows), axis=1)[:, None]
    for start in range(0, len(embedding), block_size):
        columns = slice(start, start + block_size)
        others = embedding[columns]
        summed = lengths + np.sum(np.square(others), axis=1)
        squared = summed - 2.0 * rows @ others.T
        squared = np.where(squared > _ROUNDING * summed, squared, 0.0).astype(np.float32)
        is_same = label[anchors][:, None] == label[columns][None, :]
        yield columns, squared, is_same


def _farthest_positive(anchors: np.ndarray) -> Callable[[_Tile], np.ndarray]:
    def score(tile: _Tile) -> np.ndarray:
        columns, distance, is_same = tile
        index = np.arange(columns.start, columns.start + distance.shape[1])
        is_positive = is_same & (index[None, :] != anchors[:, None])
        return np.where(is_positive, distance, -np.inf)

    return score


def _nearest_negative(d_ap: np.ndarray, negatives: str) -> Callable[[_Tile], np.ndarray]:
    def score(tile: _Tile) -> np.ndarray:
        _, distance, is_same = tile
        is_candidate = ~is_same
        if negatives == "semi-hard":
            is_candidate &= distance > d_ap[:, None]
        return np.where(is_candidate, -distance, -np.inf)

    return score


def _extreme(
    tiles: Iterator[_Tile], score: Callable[[_Tile], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each row's highest score over all tiles, and the first column that has it."""
    best = place = None
    for tile in tiles:
        found = score(tile)
        column = np.argmax(found, axis=1)
        value = found[np.arange(len(found)), column]
        column = column + tile[0].start
        if best is None:
            best, place = value, column
        else:
            place = np.where(value > best, column, place)
            best = np.maximum(value, best)
    return best, place
