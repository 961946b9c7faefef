"""Agreement of clusters with people, image by image and pair by pair: slow and plain."""

from itertools import combinations

import numpy as np


def pairwise(cluster, label):
    """Precision and recall over pairs of images."""
    together = [
        (cluster[i] == cluster[j], label[i] == label[j])
        for i, j in combinations(range(len(label)), 2)
    ]
    right = sum(claimed and true for claimed, true in together)
    claimed, true = (sum(column) for column in zip(*together, strict=True))
    return right / claimed if claimed else 1.0, right / true


def bcubed(cluster, label):
    """Precision and recall, averaged over images."""
    precision, recall = [], []
    for i in range(len(label)):
        in_cluster = {j for j in range(len(label)) if cluster[j] == cluster[i]}
        of_person = {j for j in range(len(label)) if label[j] == label[i]}
        precision.append(len(in_cluster & of_person) / len(in_cluster))
        recall.append(len(in_cluster & of_person) / len(of_person))
    return float(np.mean(precision)), float(np.mean(recall))


def average_linkage(embedding, threshold):
    """Joins the two clusters of the smallest mean squared distance until none is within reach."""
    clusters = [[i] for i in range(len(embedding))]
    total = np.sum((embedding[:, None] - embedding) ** 2, axis=-1)
    while len(clusters) > 1:
        sizes = np.array([len(cluster) for cluster in clusters])
        mean = total / np.outer(sizes, sizes) + np.diag(np.full(len(sizes), np.inf))
        one, other = sorted(np.unravel_index(mean.argmin(), mean.shape))
        if mean[one, other] > threshold:
            break
        clusters[one] += clusters.pop(other)
        total[one] += total[other]
        total[:, one] += total[:, other]
        total = np.delete(np.delete(total, other, axis=0), other, axis=1)
    return {frozenset(cluster) for cluster in clusters}
