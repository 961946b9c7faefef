"""Multi-similarity loss, arXiv 1904.06627, section 4: mine, then two logarithms per anchor."""

import functools

import numpy as np

from tests.oracles import pairs


def anchor_value(positives, negatives, config):
    epsilon = config["epsilon"]
    if epsilon is not None:
        lowest, highest = min(positives, default=np.inf), max(negatives, default=-np.inf)
        positives = positives[positives < highest + epsilon]
        negatives = negatives[negatives > lowest - epsilon]
    alpha, beta, base = config["alpha"], config["beta"], config["base"]
    positive = np.log(1 + np.exp(-alpha * (positives - base)).sum()) / alpha
    return positive + np.log(1 + np.exp(beta * (negatives - base)).sum()) / beta


per_sample = functools.partial(pairs.per_sample, anchor_value)
