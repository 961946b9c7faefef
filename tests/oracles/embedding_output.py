"""The embedding output at inference: sums over positions, then vector by vector."""

import numpy as np

from tests.oracles import maxout

SHAPES = [(3, 2, 4)]
CASES = [
    {},
    {"pooling": "flatten"},
    {"pooling": "bn_flatten"},
    {"pooling": "depthwise", "epsilon": 0.1},
    {"batch_norm": True},
    {"batch_norm": "center", "epsilon": 0.1},
    {"pooling": "flatten", "hidden_units": (6, 5), "maxout": 2},
    {"hidden_units": (6, 5), "dropout": 0.5},
]


def _batch_norm(x, name, weights, config):
    gamma = weights.get(f"{name}/gamma", 1.0)
    deviation = np.sqrt(weights[f"{name}/moving_variance"] + config["epsilon"])
    return gamma * (x - weights[f"{name}/moving_mean"]) / deviation + weights[f"{name}/beta"]


def _pool(feature_map, weights, config):
    positions = list(np.ndindex(feature_map.shape[1:3]))
    if config["pooling"] == "average":
        return sum(feature_map[:, i, j] for i, j in positions) / len(positions)
    if config["pooling"] == "depthwise":
        kernel = weights["depthwise/kernel"][..., 0]
        pooled = sum(feature_map[:, i, j] * kernel[i, j] for i, j in positions)
        return _batch_norm(pooled, "depthwise_bn", weights, config)
    if config["pooling"] == "bn_flatten":
        feature_map = _batch_norm(feature_map, "input_bn", weights, config)
    return np.concatenate([feature_map[:, i, j] for i, j in positions], axis=1)


def _hidden(x, kernel, bias, pieces):
    return (
        np.maximum(x @ kernel + bias, 0) if pieces == 1 else maxout.units(x, kernel, bias, pieces)
    )


def output(inputs, weights, config):
    (feature_map,) = inputs
    x = _pool(feature_map, weights, config)
    for index in range(len(config["hidden_units"])):
        kernel, bias = (weights[f"hidden{index}/{name}"] for name in ("kernel", "bias"))
        x = _hidden(x, kernel, bias, config["maxout"])
    x = x @ weights["dense/kernel"] + weights.get("dense/bias", 0.0)
    if config["batch_norm"]:
        x = _batch_norm(x, "bn", weights, config)
    norm = np.linalg.norm(x, axis=1)
    return {"embedding": x / norm[:, None], "norm": norm}
