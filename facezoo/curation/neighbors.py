"""The nearest pictures of every picture, itself left out, and all couples nearer than a limit."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.metrics import nearest_others

_ROWS_AT_ONCE: Final = 2**10
_MOST_COLUMNS: Final = 2**14

Couples = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def nearest_pictures(embedding: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Finds the nearest other pictures.

    Args:
        embedding: float32 [N, D], unit length.
        count: How many, at least 1; N - 1 are found where there are no more.

    Returns:
        int64 [N, min(count, N - 1)], nearest first.
    """
    count = min(count, len(embedding) - 1)
    if count == 0:
        return np.zeros((len(embedding), 0), np.int64)
    return nearest_others(embedding, count)[1]


def couples_above(embedding: NDArray[np.float32], cosine: float) -> Couples:
    """Finds all couples of rows nearer to each other than a limit.

    Args:
        embedding: float32 [N, D], unit length.
        cosine: The limit.

    Returns:
        `(first int64 [M], second int64 [M], cosine float32 [M])`, `first < second`, ascending.

    Numerics:
        float32 products in blocks: memory grows with M, not with N squared.
    """
    found: list[Couples] = []
    for start in range(0, len(embedding), _ROWS_AT_ONCE):
        block = embedding[start : start + _ROWS_AT_ONCE]
        for begin in range(start, len(embedding), _MOST_COLUMNS):
            product = block @ embedding[begin : begin + _MOST_COLUMNS].T
            row, column = np.nonzero(product > cosine)
            first, second = start + row, begin + column
            is_new = first < second
            found.append((first[is_new], second[is_new], product[row, column][is_new]))
    first, second, value = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((second, first))
    return first[order], second[order], value[order]
