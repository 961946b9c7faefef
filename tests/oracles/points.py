"""The points that the golden numbers were computed on: sines, so that any tool makes them."""

import numpy as np

LABEL = np.repeat(np.arange(4), 3)


def _unit(points):
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def s1():
    """Twelve points of eight numbers, identities mixed."""
    i, j = np.indices((12, 8))
    return _unit(np.sin(1 + 0.7 * i + 1.3 * j))


def s2():
    """Twelve points of eight numbers, identities apart."""
    i, j = np.indices((12, 8))
    return _unit(np.cos(2.1 * (i // 3) + 0.9 * j) + 0.35 * np.sin(3.7 * i + 2.9 * j + 0.5))


def _head_features():
    i, j = np.indices((6, 4))
    return np.sin(0.5 + 1.1 * i + 0.6 * j)


def head_embedding():
    """Six unit embeddings of four numbers."""
    return _unit(_head_features())


def head_norm():
    """Their lengths before normalisation, 1.28 to 1.61."""
    return np.linalg.norm(_head_features(), axis=1)


def head_centers(num_columns=5):
    """Centres, [4, num_columns], not normalised; of five classes unless told otherwise."""
    j, k = np.indices((4, num_columns))
    return np.cos(0.3 + 0.9 * j + 1.7 * k)


HEAD_LABEL = np.array([3, 3, 4, 3, 2, 3])
