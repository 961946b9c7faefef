"""Sub-center ArcFace, ECCV 2020, section 3.2: ArcFace on the nearest of K centres."""

import numpy as np

from tests.oracles.cosines import added_angle, cosines, with_own

NO_MARGIN = {"margin": 0.0}


def logits(embedding, norm, label, config, weights):
    all_cosines, K = cosines(embedding, weights["centers"]), config["centers_per_class"]
    nearest = [
        all_cosines[:, c * K : (c + 1) * K].max(axis=1) for c in range(config["num_classes"])
    ]

    def own_cosine(row, own):
        return added_angle(own, config["margin"], config["beyond_pi"])

    return config["scale"] * with_own(np.stack(nearest, axis=1), label, own_cosine)
