"""Each anchor's cosines with its positives and with its negatives, one pair at a time."""

import numpy as np


def _cosine(a, b):
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / lengths if lengths > 0 else 0.0


def by_anchor(label, points, candidate_label=None, candidates=None):
    """Yields (positives, negatives) of each anchor; without candidates, in its own batch."""
    inside = candidates is None
    if inside:
        candidate_label, candidates = label, points
    for anchor, point in enumerate(points):
        positives, negatives = [], []
        for index, other in enumerate(candidates):
            if inside and index == anchor:
                continue
            kind = positives if candidate_label[index] == label[anchor] else negatives
            kind.append(_cosine(point, other))
        yield np.array(positives), np.array(negatives)


def per_sample(anchor_value, label, points, config):
    """The value of every anchor of a batch."""
    pairs = by_anchor(label, points)
    return np.array([anchor_value(*cosines, config) for cosines in pairs])
