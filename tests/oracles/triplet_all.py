"""The batch-all triplet loss, triplet by triplet."""

import numpy as np

from tests.oracles.distances import distance


def per_sample(label, points, config):
    size, shares, count = len(label), np.zeros(len(label)), 0
    for anchor, positive, negative in np.ndindex(size, size, size):
        is_pair = positive != anchor and label[positive] == label[anchor]
        if not is_pair or label[negative] == label[anchor]:
            continue
        d_ap, d_an = (
            distance(points[anchor], points[other], config["distance_metric"])
            for other in (positive, negative)
        )
        cost = max(d_ap - d_an + config["margin"], 0.0)
        shares[anchor] += cost
        count += cost > 0 or config["mean_over"] == "all"
    return shares * size / max(count, 1)
