"""Circle loss, arXiv 2002.10857, equations 5 and 6: two sums of exponentials per anchor."""

import functools

import numpy as np

from tests.oracles import pairs


def anchor_value(positives, negatives, config):
    margin, scale = config["margin"], config["scale"]
    weight_p = np.maximum(1 + margin - positives, 0)
    weight_n = np.maximum(negatives + margin, 0)
    sum_p = np.exp(-scale * weight_p * (positives - (1 - margin))).sum()
    sum_n = np.exp(scale * weight_n * (negatives - margin)).sum()
    return np.log(1 + sum_n * sum_p)


per_sample = functools.partial(pairs.per_sample, anchor_value)
