"""Center loss, Wen et al. 2016, equations 2 and 4: class by class, one sample after the other."""

import numpy as np


def steps(batches, config, state):
    """Returns the values of each batch (embedding, norm, label), and the centres after them."""
    centers, values = state["centers"].copy(), []
    for embedding, norm, label in batches:
        x = embedding * norm[:, None] if config["use_norm"] else embedding
        known = [0 <= one < len(centers) for one in label]
        values.append(
            [
                0.5 * np.sum((x[i] - centers[label[i]]) ** 2) if known[i] else 0.0
                for i in range(len(label))
            ]
        )
        delta = np.zeros_like(centers)
        for j in range(len(centers)):
            members = [i for i in range(len(label)) if label[i] == j]
            total = sum((centers[j] - x[i] for i in members), np.zeros(x.shape[1]))
            delta[j] = total / (1 + len(members))
        centers = centers - config["alpha"] * delta
    return [np.array(one) for one in values], {"centers": centers}
