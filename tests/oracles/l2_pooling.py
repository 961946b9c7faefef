"""L2 pooling, window by window: the root of the sum of squares of the pixels in it."""

import numpy as np

SHAPES = [(7, 6, 3)]
CASES = [
    {},
    {"padding": "valid"},
    {"strides": 2},
    {"strides": 2, "padding": "valid"},
    {"pool_size": 2},
    {"pool_size": 5, "strides": 3},
]


def _windows(size, pool_size, strides, padding):
    """Which pixels each window holds; TensorFlow puts the odd row of padding at the end."""
    if padding == "valid":
        starts = range(0, size - pool_size + 1, strides)
    else:
        count = int(np.ceil(size / strides))
        missing = max((count - 1) * strides + pool_size - size, 0)
        starts = [step * strides - missing // 2 for step in range(count)]
    return [[i for i in range(start, start + pool_size) if 0 <= i < size] for start in starts]


def output(inputs, weights, config):
    (x,) = inputs
    arguments = config["pool_size"], config["strides"], config["padding"]
    rows, columns = (_windows(size, *arguments) for size in x.shape[1:3])
    found = np.zeros((len(x), len(rows), len(columns), x.shape[3]))
    for image, i, j, channel in np.ndindex(found.shape):
        values = [x[image, row, column, channel] for row in rows[i] for column in columns[j]]
        found[image, i, j, channel] = np.sqrt(sum(value**2 for value in values))
    return found
