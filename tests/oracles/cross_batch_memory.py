"""Cross-batch memory, arXiv 1912.06798, algorithm 1: a Python list that takes in and drops."""

import numpy as np

from tests.oracles import circle, multi_similarity, pairs, supcon

WRAPPED = {
    "CircleLoss": circle,
    "MultiSimilarityLoss": multi_similarity,
    "SupConLoss": supcon,
}


def steps(batches, config, state):
    """Returns the values of each batch (embedding, norm, label), and what the memory then holds."""
    wrapped = WRAPPED[config["loss"]["class_name"]]
    queue, values = [], []
    for step, (embedding, _, label) in enumerate(batches):
        is_warm = step >= config["num_warm_up_steps"]
        if is_warm:
            queue += [(step, *one) for one in zip(range(len(label)), label, embedding, strict=True)]
            queue = queue[-config["memory_size"] :]
        found = []
        for anchor in range(len(label)):
            others = [one for one in queue if one[:2] != (step, anchor)]
            cosines = pairs.by_anchor(
                label[anchor : anchor + 1],
                embedding[anchor : anchor + 1],
                [one[2] for one in others],
                [one[3] for one in others],
            )
            found.append(wrapped.anchor_value(*next(cosines), config["loss"]["config"]))
        values.append(np.array(found))
    memory = state["memory"].copy()
    if queue:
        memory[-len(queue) :] = [one[3] for one in queue]
    return values, {"memory": memory, "num_stored": len(queue)}
