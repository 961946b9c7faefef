"""Distances of two points as their definitions say."""

import numpy as np


def distance(a, b, metric):
    if metric in ("angular", "cosine"):
        return 1.0 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    if metric == "angle":
        return np.arccos(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1.0, 1.0))
    if metric == "manhattan":
        return np.sum(np.abs(a - b))
    squared = np.sum((a - b) ** 2)
    return squared if metric == "squared-L2" else np.sqrt(squared)
