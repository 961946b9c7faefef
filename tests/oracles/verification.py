"""Verification metrics as their formulas say, one pair after the other: slow and plain."""

import math
import statistics
from itertools import product

import numpy as np


def auc(genuine, impostor):
    """Share of (genuine, impostor) couples in the right order; equal distances count one half."""
    points = sum(1.0 if g < i else 0.5 if g == i else 0.0 for g, i in product(genuine, impostor))
    return points / (len(genuine) * len(impostor))


def val(genuine, threshold):
    """FaceNet, equation 5: accepted genuine pairs over genuine pairs."""
    return sum(distance <= threshold for distance in genuine) / len(genuine)


def far(impostor, threshold):
    """FaceNet, equation 6: accepted impostor pairs over impostor pairs."""
    return sum(distance <= threshold for distance in impostor) / len(impostor)


def val_at_far(genuine, impostor, target):
    """Highest VAL among all thresholds whose FAR is within the target."""
    allowed = [d for d in [*genuine, *impostor] if far(impostor, d) <= target]
    return max((val(genuine, threshold) for threshold in allowed), default=0.0)


def best_accuracy(genuine, impostor):
    """Highest mean of VAL and 1 - FAR among all thresholds that accept somebody."""
    return max((val(genuine, d) + 1 - far(impostor, d)) / 2 for d in [*genuine, *impostor])


def eer(genuine, impostor):
    """Crosses every edge of the ROC polygon with the line FAR = 1 - VAL."""
    thresholds = sorted({*genuine, *impostor})
    corners = [(0.0, 0.0)] + [(far(impostor, d), val(genuine, d)) for d in thresholds]
    for (far0, val0), (far1, val1) in zip(corners[:-1], corners[1:], strict=True):
        if far1 + val1 >= 1:
            # (far0 + w * (far1 - far0)) + (val0 + w * (val1 - val0)) = 1
            weight = (1 - far0 - val0) / (far1 - far0 + val1 - val0)
            return far0 + weight * (far1 - far0)
    raise AssertionError("the last corner is (1, 1)")


def fisher_ratio(genuine, impostor):
    """Bishop, equation 4.25, with variances; 0 or infinite where nothing is spread."""
    between = (statistics.fmean(genuine) - statistics.fmean(impostor)) ** 2
    within = statistics.pvariance(genuine) + statistics.pvariance(impostor)
    return between / within if within else (math.inf if between else 0.0)


def fold_scores(distance, same, fold, choose):
    """(threshold, VAL, FAR) of each fold, where `choose(genuine, impostor)` sees the others."""
    found = []
    for number in sorted(set(fold)):
        pairs = list(zip(distance, same, fold, strict=True))
        others = [[d for d, s, f in pairs if f != number and s == kind] for kind in (True, False)]
        own = [[d for d, s, f in pairs if f == number and s == kind] for kind in (True, False)]
        threshold = choose(*others)
        found.append((threshold, val(own[0], threshold), far(own[1], threshold)))
    return found


def repeated_pairs(distance, person, draws):
    """Pairs of a resample written out: genuine as often as drawn, impostor once per couple."""
    genuine, impostor = [], []
    for d, (one, other) in zip(distance, person, strict=True):
        if one == other:
            genuine += [d] * draws.count(one)
        else:
            impostor += [d] * (draws.count(one) * draws.count(other))
    return genuine, impostor


def all_pairs(embedding, label):
    """Squared L2 distances of all i < j, and which images they are."""
    found = {True: ([], []), False: ([], [])}
    for i in range(len(label)):
        for j in range(i + 1, len(label)):
            distances, indices = found[bool(label[i] == label[j])]
            distances.append(float(np.sum((embedding[i] - embedding[j]) ** 2)))
            indices.append((i, j))
    return found[True], found[False]
