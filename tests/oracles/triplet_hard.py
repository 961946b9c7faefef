"""The batch-hard triplet loss, anchor by anchor."""

import numpy as np

from tests.oracles.distances import distance


def per_sample(label, points, config):
    size, costs, counts = len(label), np.zeros(len(label)), np.zeros(len(label), bool)
    is_any_pair = len(set(label)) < size
    for anchor in range(size):
        d = [distance(points[anchor], other, config["distance_metric"]) for other in points]
        negatives = [d[n] for n in range(size) if label[n] != label[anchor]]
        positives = [d[p] for p in range(size) if p != anchor and label[p] == label[anchor]]
        is_whole = bool(negatives and positives)
        if not is_any_pair or not (is_whole or config["anchors_without_negatives"] == "tfa"):
            continue
        d_ap = max(positives, default=0.0)
        difference = d_ap - min(negatives, default=d_ap)
        soft, hard = np.log1p(np.exp(difference)), max(difference + config["margin"], 0.0)
        costs[anchor] = soft if config["soft"] else hard
        counts[anchor] = costs[anchor] > 0 or config["mean_over"] == "all"
    return costs * size / max(counts.sum(), 1)
