"""Local response normalisation, value by value, with Caffe's and Torch's alpha."""

import numpy as np

SHAPES = [(3, 2, 7)]
CASES = [
    {},
    {"size": 5},
    {"size": 5, "alpha": 0.5},
    {"size": 1, "alpha": 0.5},
    {"size": 17, "alpha": 0.5},
    {"size": 5, "alpha": 0.5, "beta": 0.5, "bias": 2.0},
]


def output(inputs, weights, config):
    (x,) = inputs
    found, channels, reach = np.zeros_like(x), x.shape[-1], config["size"] // 2
    for index in np.ndindex(x.shape):
        *pixel, channel = index
        near = range(max(channel - reach, 0), min(channel + reach + 1, channels))
        energy = sum(x[(*pixel, other)] ** 2 for other in near)
        scale = config["bias"] + config["alpha"] / config["size"] * energy
        found[index] = x[index] / scale ** config["beta"]
    return found
