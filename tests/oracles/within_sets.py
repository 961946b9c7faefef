"""A loss on pairs within sets: each set's samples by themselves, one set after the other."""

import numpy as np

from tests.oracles.cross_batch_memory import WRAPPED


def per_sample(label, points, config):
    wrapped = config["loss"]
    ends = np.cumsum(config["num_classes"])
    owner = np.searchsorted(ends, label, side="right")
    values = np.zeros(len(label))
    for place in range(len(ends)):
        rows = owner == place
        oracle = WRAPPED[wrapped["class_name"]]
        values[rows] = oracle.per_sample(label[rows], points[rows], wrapped["config"])
    return values
