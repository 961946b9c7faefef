"""NormFace as its paper says: scaled cosines."""


def logits(cosine, norm, label, config):
    return config["scale"] * cosine
