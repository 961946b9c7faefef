"""L2-softmax, arXiv 1703.09507, "Proposed Method": all features are `scale` long."""

NO_MARGIN = {}
STATE = {"bias": [0.3, -0.2, 0.1, 0.0, -0.4]}


def logits(embedding, norm, label, config, weights):
    return config["scale"] * embedding @ weights["centers"] + weights["bias"]
