"""The semi-hard triplet loss, triplet by triplet: three nested loops, as its definition says."""

import numpy as np

from tests.oracles.distances import distance


def per_sample(label, points, config):
    size, shares, count = len(label), np.zeros(len(label)), 0
    for anchor in range(size):
        d = [distance(points[anchor], other, config["distance_metric"]) for other in points]
        negatives = [d[n] for n in range(size) if label[n] != label[anchor]]
        if not negatives and config["anchors_without_negatives"] == "skip":
            continue
        for positive in range(size):
            if positive == anchor or label[positive] != label[anchor]:
                continue
            beyond = [value for value in negatives if value > d[positive]]
            d_an = min(beyond) if beyond else max(negatives, default=0.0)
            cost = max(d[positive] - d_an + config["margin"], 0.0)
            shares[anchor] += cost
            count += cost > 0 or config["mean_over"] == "all"
    return shares * size / max(count, 1)
