"""Searches of a gallery as their definitions say, one probe after the other: slow and plain."""

import numpy as np


def person_distances(probe, gallery, gallery_label):
    """How far each person of the gallery is from one probe: the nearest image counts."""
    distances = {}
    for embedding, person in zip(gallery, gallery_label, strict=True):
        distance = float(np.sum((probe - embedding) ** 2))
        distances[person] = min(distance, distances.get(person, 9.0))
    return distances


def search(probe, probe_label, gallery, gallery_label):
    """Rank of the right person, 0 for strangers, and the nearest person's distance, per probe."""
    ranks, nearest = [], []
    for embedding, person in zip(probe, probe_label, strict=True):
        distances = person_distances(embedding, gallery, gallery_label)
        nearest.append(min(distances.values()))
        own = distances.get(person)
        ahead = 0 if own is None else sum(distance <= own for distance in distances.values())
        ranks.append(ahead)
    return ranks, nearest


def tpir_at_fpir(ranks, nearest, target):
    """Highest TPIR among all thresholds whose FPIR is within the target."""
    mated = [(rank, distance) for rank, distance in zip(ranks, nearest, strict=True) if rank]
    strangers = [distance for rank, distance in zip(ranks, nearest, strict=True) if not rank]
    best = 0.0
    for threshold in nearest:
        if sum(distance <= threshold for distance in strangers) <= target * len(strangers):
            found = sum(rank == 1 and distance <= threshold for rank, distance in mated)
            best = max(best, found / len(mated))
    return best


def nearest(probe, gallery, k):
    """Sorts the whole gallery for each probe."""
    found = []
    for embedding in probe:
        distance = np.sum((embedding - gallery) ** 2, axis=1)
        order = np.argsort(distance, kind="stable")[:k]
        found.append((distance[order], order))
    return tuple(np.array(part) for part in zip(*found, strict=True))


def knn(probe, gallery, gallery_label, k):
    """The most frequent label among the k nearest; of several, the one that comes first."""
    _, index = nearest(probe, gallery, k)
    found = []
    for row in gallery_label[index].tolist():
        found.append(max(row, key=lambda label: (row.count(label), -row.index(label))))
    return found
