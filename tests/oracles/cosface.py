"""CosFace, arXiv 1801.09414, equation 4: the margin is taken off the target's cosine."""

import numpy as np


def logits(cosine, norm, label, config):
    target = np.arange(config["num_classes"])[None, :] == label[:, None]
    return config["scale"] * (cosine - config["margin"] * target)
