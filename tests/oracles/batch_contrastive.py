"""The contrastive loss of a batch, pair by pair."""

import numpy as np

from tests.oracles.distances import distance


def per_sample(label, points, config):
    size, shares, count = len(label), np.zeros(len(label)), 0
    for one, other in np.ndindex(size, size):
        if one == other:
            continue
        d = distance(points[one], points[other], config["distance_metric"])
        cost = d**2 if label[one] == label[other] else max(config["margin"] - d, 0.0) ** 2
        shares[one] += cost
        count += cost > 0 or config["mean_over"] == "all"
    return shares * size / max(count, 1)
