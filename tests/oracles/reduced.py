"""Means over the values between two bounds, as pytorch-metric-learning's reducers take them."""

import numpy as np

from tests.oracles.cross_batch_memory import WRAPPED


def per_sample(label, points, config):
    wrapped = config["loss"]
    values = WRAPPED[wrapped["class_name"]].per_sample(label, points, wrapped["config"])
    low, high = config["low"], config["high"]
    counts = [(low is None or one > low) and (high is None or one < high) for one in values]
    shares = np.zeros(len(values))
    classes = {label[i] for i in range(len(values)) if counts[i]}
    for i in range(len(values)):
        if counts[i] and config["per_class"]:
            size = sum(counts[j] for j in range(len(values)) if label[j] == label[i])
            shares[i] = values[i] / size / len(classes)
        elif counts[i]:
            shares[i] = values[i] / sum(counts)
    # The mean over the batch shall be their sum.
    return shares * len(values)
