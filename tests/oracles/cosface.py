"""CosFace, arXiv 1801.09414, equation 4: the margin is taken off the target's cosine."""

from tests.oracles.cosines import cosines, with_own

NO_MARGIN = {"margin": 0.0}


def logits(embedding, norm, label, config, weights):
    cosine = cosines(embedding, weights["centers"])
    return config["scale"] * with_own(cosine, label, lambda row, own: own - config["margin"])
