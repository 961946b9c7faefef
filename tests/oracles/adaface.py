"""AdaFace, arXiv 2204.00964, section 3.3: g_angle and g_add by the normalised norm."""

import numpy as np

from tests.oracles.cosines import cosines, with_own

NO_MARGIN = {"margin": 0.0}
STATE = {"norm_mean": 15.0, "norm_std": 5.0}


def logits(embedding, norm, label, config, weights):
    deviation = (np.clip(norm, 0.001, 100.0) - weights["norm_mean"]) / (weights["norm_std"] + 1e-3)
    quality = np.clip(config["concentration"] * deviation, -1.0, 1.0)

    def own_cosine(row, own):
        g_angle = -config["margin"] * quality[row]
        g_add = config["margin"] * quality[row] + config["margin"]
        return np.cos(np.clip(np.arccos(own) + g_angle, 0.0, np.pi)) - g_add

    return config["scale"] * with_own(cosines(embedding, weights["centers"]), label, own_cosine)
