"""The triplet loss by its options, triplet by triplet; a random negative has no oracle."""

import numpy as np

from tests.oracles.distances import distance


def _negative(d_ap, negatives, config):
    if config["negatives"] == "hardest":
        return min(negatives)
    return min((d for d in negatives if d > d_ap), default=max(negatives))


def per_sample(label, points, config):
    size, shares, count = len(label), np.zeros(len(label)), 0
    for anchor in range(size):
        d = [distance(points[anchor], other, config["distance_metric"]) for other in points]
        negatives = [d[n] for n in range(size) if label[n] != label[anchor]]
        positives = [d[p] for p in range(size) if p != anchor and label[p] == label[anchor]]
        if not negatives or not positives:
            continue
        for d_ap in positives if config["positives"] == "all" else [max(positives)]:
            cost = max(d_ap - _negative(d_ap, negatives, config) + config["margin"], 0.0)
            shares[anchor] += cost
            count += cost > 0 or config["mean_over"] == "all"
    return shares * size / max(count, 1)
