"""CurricularFace, arXiv 2004.00288, section 3.2: T for the own class, N for the others."""

from tests.oracles.cosines import added_angle, cosines

NO_MARGIN = {"margin": 0.0}
STATE = {"t": 0.3}


def logits(embedding, norm, label, config, weights):
    cosine, t = cosines(embedding, weights["centers"]), weights["t"]
    result = cosine.copy()
    for row, own in enumerate(label):
        if not 0 <= own < config["num_classes"]:
            continue
        target = added_angle(cosine[row, own], config["margin"], config["beyond_pi"])
        for j in range(config["num_classes"]):
            if j == own:
                result[row, j] = target
            elif cosine[row, j] > target:
                result[row, j] = cosine[row, j] * (t + cosine[row, j])
    return config["scale"] * result
