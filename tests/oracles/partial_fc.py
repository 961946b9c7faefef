"""Partial FC outside training: CosFace on centres that are rows."""

from tests.oracles import cosface

NO_MARGIN = {"margin": 0.0}


def logits(embedding, norm, label, config, weights):
    return cosface.logits(embedding, norm, label, config, {"centers": weights["centers"].T})
