"""Norm select of the published Caffe layer: a threshold on the length, with 1e-6 below the root."""

import numpy as np

SHAPES = [(6,)]
CASES = [
    {},
    {"threshold": 3.2},
    {"threshold": "running_mean"},
    {"threshold": "percentile", "percentile": 25.0},
]


def output(inputs, weights, config):
    (features,) = inputs
    threshold = config["threshold"]
    if isinstance(threshold, str):
        threshold = weights["running_threshold"]
    gated, is_kept = np.zeros_like(features), np.zeros(len(features))
    for row, values in enumerate(features):
        if np.sqrt(np.sum(values**2) + 1e-6) >= threshold:
            gated[row], is_kept[row] = values, 1.0
    return {"features": gated, "is_kept": is_kept}
