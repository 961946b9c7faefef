"""What the oracles of the heads share: cosines, and the column of the sample's own class."""

import numpy as np


def cosines(embedding, centers):
    unit = centers / np.linalg.norm(centers, axis=0)
    return np.clip(embedding @ unit, -1.0, 1.0)


def with_own(logits, label, change):
    """Replaces the value in each sample's own column; a label outside has none."""
    logits = logits.copy()
    for row, column in enumerate(label):
        if 0 <= column < logits.shape[1]:
            logits[row, column] = change(row, logits[row, column])
    return logits


def added_angle(cosine, margin, beyond_pi):
    theta = np.arccos(cosine)
    if beyond_pi == "easy":
        return np.cos(theta + margin) if theta < np.pi / 2 else cosine
    if theta + margin <= np.pi:
        return np.cos(theta + margin)
    if beyond_pi == "monotone":
        return -2.0 - np.cos(theta + margin)
    return cosine - margin * np.sin(margin)
