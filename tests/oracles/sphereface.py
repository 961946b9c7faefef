"""SphereFace, arXiv 1704.08063, equation 7, with the weight of the plain cosine of its code."""

import numpy as np

from tests.oracles.cosines import cosines, with_own

NO_MARGIN = {"margin": 1}
STATE = {"iteration": 3.0}


def logits(embedding, norm, label, config, weights):
    falling = config["lambda_start"] / (1.0 + config["lambda_decay"] * weights["iteration"])
    weight = max(config["lambda_min"], falling)

    def own_cosine(row, own):
        theta, m = np.arccos(own), config["margin"]
        k = min(np.floor(m * theta / np.pi), m - 1)
        psi = (-1.0) ** k * np.cos(m * theta) - 2.0 * k
        return (weight * own + psi) / (1.0 + weight)

    scale = norm[:, None] if config["scale"] is None else config["scale"]
    return scale * with_own(cosines(embedding, weights["centers"]), label, own_cosine)
