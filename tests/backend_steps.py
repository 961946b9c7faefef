"""A program: two steps of training with each head and auxiliary loss, and of the other models.

`KERAS_BACKEND=jax python -m tests.backend_steps` prints {what was trained: weights after it}.
"""

import json

import keras
import numpy as np

import facezoo
from facezoo import registry
from tests.small_model import images, small_model

LABEL = np.arange(12, dtype="int32") % 4


def _auxiliary(cls):
    base = small_model(None)
    loss = cls(**cls.TINY)
    model = facezoo.FaceModel(base.backbone, base.embedding, auxiliary_loss=loss)
    for weight in loss.weights:
        weight.assign(np.zeros(weight.shape, weight.dtype))
    model.compile(keras.optimizers.SGD(0.1), loss=None)
    return model


def _head(cls):
    model = small_model(cls(**{**cls.TINY, "num_classes": 4}))
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # JAX traces the step, and keeps the state outside of the model, only where it compiles.
    compiles = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.SGD(0.01), cross_entropy, jit_compile=compiles)
    return model


def _hard_examples():
    model = small_model(facezoo.create_head("cosface", num_classes=4, scale=4.0))
    hard = facezoo.HardExampleModel.of(model, num_hard=5, noisy_fraction=0.1)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    hard.compile(keras.optimizers.SGD(0.1), cross_entropy)
    return hard


def _concat():
    heads = [facezoo.create_head(name, num_classes=2) for name in ("arcface", "adaface")]
    model = small_model(facezoo.heads.ConcatHead(heads, duplicates=[(0, 3)]))
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), cross_entropy)
    return model


def _expert():
    """The easy network normalises its batches, which must not move its averages."""
    easy = small_model(None, pooling="bn_flatten")
    second = small_model(facezoo.create_head("cosface", num_classes=4, scale=4.0))
    gate = facezoo.layers.NormGate("running_mean")
    expert = facezoo.ExpertModel(
        second.backbone,
        second.embedding,
        second.head,
        gate=facezoo.layers.NormGate("percentile"),
        easy=easy,
        easy_gate=gate,
    )
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expert.compile(keras.optimizers.SGD(0.1), cross_entropy)
    return expert


def weights_after_two_steps() -> dict[str, list[float]]:
    """Returns all weights, in one row, of every model."""
    models = {name: _auxiliary(cls) for name, cls in registry.parts("auxiliary_loss").items()}
    heads = registry.parts("head")
    # Every back end has random numbers of its own.
    models |= {name: _head(cls) for name, cls in heads.items() if name != "partial_fc"}
    models |= {"hard_examples": _hard_examples(), "concat": _concat(), "expert": _expert()}
    for model in models.values():
        model.fit(images(12), LABEL, batch_size=6, shuffle=False, verbose=0)
    return {
        name: np.concatenate([np.ravel(one) for one in model.get_weights()]).tolist()
        for name, model in models.items()
    }


if __name__ == "__main__":
    print(json.dumps(weights_after_two_steps()))
