"""A program: what the saved models of a folder answer on the Keras back end in force.

`KERAS_BACKEND=jax python -m tests.backend_outputs FOLDER` loads every `FOLDER/NAME.keras`, hands it
the arrays of `FOLDER/NAME.inputs.npz`, and writes the answers to `FOLDER/NAME.jax.npz`. It prints
the back end, and whether TensorFlow was imported for that, as JSON.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

import facezoo  # noqa: F401, registers every part with Keras
from facezoo import registry


def answers(model, image, label=None, target=None):
    """Returns what a model says of images, by name of the answer.

    Args:
        model: FaceModel.
        image: float32 [B, H, W, 3]; asks for `embedding` and `norm`.
        label: int32 [B]; asks for the head's `logits`, or every loss on embeddings.
        target: float32 [B, D]; asks for what one step of training towards it changes.
    """
    found = dict(model(image, training=False))
    embedding = found["embedding"]
    if label is not None and model.head is not None:
        found["logits"] = model.head(embedding, found["norm"], label)
    elif label is not None:
        for name, cls in registry.parts("loss").items():
            found[f"loss/{name}"] = cls(**cls.TINY)(label, embedding)
    if target is not None:
        found |= _training_step(model, image, target)
    return {name: keras.ops.convert_to_numpy(value) for name, value in found.items()}


def _training_step(model, image, target):
    """At a learning rate of 1 the change is the gradient, or a step of the moving averages."""
    model.compile(keras.optimizers.SGD(1.0), "mean_squared_error")
    before = model.get_weights()
    model.train_on_batch(image, target)
    steps = enumerate(zip(model.weights, model.get_weights(), before, strict=True))
    return {f"step/{index}/{weight.name}": new - old for index, (weight, new, old) in steps}


def main(folder):
    """Answers for every model of a folder."""
    backend = keras.backend.backend()
    for file in sorted(folder.glob("*.keras")):
        with np.load(file.with_suffix(".inputs.npz")) as inputs:
            found = answers(keras.models.load_model(file), **inputs)
        np.savez(file.with_suffix(f".{backend}.npz"), **found)
    print(json.dumps({"backend": backend, "imported_tensorflow": "tensorflow" in sys.modules}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
