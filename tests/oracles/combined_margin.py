"""ArcFace, arXiv 1801.07698, equation 4: a factor, an angle and a cosine at once."""

import numpy as np

from tests.oracles.cosines import cosines, with_own

NO_MARGIN = {"margin1": 1.0, "margin2": 0.0, "margin3": 0.0}


def logits(embedding, norm, label, config, weights):
    def own_cosine(row, own):
        angle = config["margin1"] * np.arccos(own) + config["margin2"]
        k = np.floor(angle / np.pi) if config["beyond_pi"] == "monotone" else 0.0
        return (-1.0) ** k * np.cos(angle) - 2.0 * k - config["margin3"]

    return config["scale"] * with_own(cosines(embedding, weights["centers"]), label, own_cosine)
