"""The semi-hard triplet loss, triplet by triplet: three nested loops, as its definition says."""

import numpy as np


def distance(a, b, metric):
    if metric == "angular":
        return 1.0 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    squared = np.sum((a - b) ** 2)
    return squared if metric == "squared-L2" else np.sqrt(squared)


def per_sample(label, points, config):
    size, shares, num_pairs = len(label), np.zeros(len(label)), 0
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
            shares[anchor] += max(d[positive] - d_an + config["margin"], 0.0)
            num_pairs += 1
    return shares * size / max(num_pairs, 1)
