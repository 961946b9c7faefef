"""MagFace, arXiv 2103.06627, section 3.2: the margin rises with the norm."""

import numpy as np

from tests.oracles.cosines import added_angle, cosines, with_own

NO_MARGIN = {"margin_range": [0.0, 0.0]}


def logits(embedding, norm, label, config, weights):
    def own_cosine(row, own):
        margin = np.interp(norm[row], config["norm_range"], config["margin_range"])
        return added_angle(own, margin, config["beyond_pi"])

    return config["scale"] * with_own(cosines(embedding, weights["centers"]), label, own_cosine)


def penalty(norm, config):
    low, high = config["norm_range"]
    a = np.clip(norm, low, high)
    return config["regularization"] * (1.0 / a + a / high**2)
