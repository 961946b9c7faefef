"""Retrieval scores as their formulas say, one query after the other: slow and plain."""

import numpy as np


def retrieval(embedding, label):
    """Precision@1, R-precision and MAP@R, over the images that have another of their person."""
    scores = []
    for query in range(len(label)):
        distance = np.sum((embedding - embedding[query]) ** 2, axis=1)
        order = [int(i) for i in np.argsort(distance, kind="stable") if i != query]
        num_others = sum(label[i] == label[query] for i in order)
        if num_others:
            right = [label[i] == label[query] for i in order[:num_others]]
            precision = [sum(right[: i + 1]) / (i + 1) for i in range(num_others)]
            average = sum(p for p, hit in zip(precision, right, strict=True) if hit) / num_others
            scores.append((right[0], sum(right) / num_others, average))
    return np.mean(scores, axis=0)
