"""A program: trains a small network from TFRecord shards; what it saw and lost at each step.

`KERAS_BACKEND=jax python -m tests.backend_training SHARD ..` prints one JSON object: digests of the
batches, some pixels as the network sees them, the losses of the steps.
"""

import hashlib
import itertools
import json
import sys
from pathlib import Path

import keras
import numpy as np

import facezoo
from facezoo.contracts import Backbone
from facezoo.data.augment import Augmentation
from facezoo.data.batches import TrainingBatches
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.stream import stream
from facezoo.training import Schedule, Stage, train
from tests.shards import HEIGHT, WIDTH

STRONG = Augmentation(rotation=0.3, zoom=0.2, shift=0.1, brightness=0.2, contrast=0.3, erase=0.3)
PEOPLE = 4


class TwoBlocks(Backbone):
    """What most networks of the zoo are made of."""

    def __init__(self):
        image = keras.Input((HEIGHT, WIDTH, 3))
        x = keras.layers.Conv2D(8, 3, use_bias=False)(image)
        x = keras.layers.PReLU(shared_axes=(1, 2))(keras.layers.BatchNormalization()(x))
        x = keras.layers.DepthwiseConv2D(3, strides=2, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        super().__init__(inputs=image, outputs=x)
        self.image_shape = (HEIGHT, WIDTH, 3)


class Losses(keras.callbacks.Callback):
    """Keeps every step's loss."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


def make_batches(shards):
    return TrainingBatches(
        [Path(shard) for shard in shards],
        Preprocessing(HEIGHT, WIDTH),
        STRONG,
        seed=1,
        num_identities=3,
        images_per_identity=4,
        num_negatives=2,
    )


def make_model():
    head = facezoo.create_head("cosface", num_classes=PEOPLE, scale=8.0)
    model = facezoo.create_model(TwoBlocks(), 8, head, embedding={"pooling": "average"})
    # Back ends draw different numbers from one seed.
    rng = np.random.default_rng(3)
    for weight in model.trainable_weights:
        if len(weight.shape) > 1:
            weight.assign(0.3 * rng.normal(size=weight.shape))
    return model


def main(shards):
    batches, losses = make_batches(shards), Losses()
    model = make_model()
    prepared = [image for image, *_ in itertools.islice(stream(batches), 3)]
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    triplet = facezoo.TripletSemiHardLoss(0.2, "squared-L2")
    stages = [
        Stage("margin", cross_entropy, Schedule(2, 0.01)),
        Stage("triplet", triplet, Schedule(1, 0.005, optimizer="adagrad")),
    ]
    train(model, batches, stages, callbacks=[losses])
    read = [batches.read(step) for step in range(5)]
    digests = [hashlib.sha256(one.image.tobytes() + one.label.tobytes()) for one in read]
    return {
        "backend": keras.backend.backend(),
        "batches": [digest.hexdigest() for digest in digests],
        "images": [keras.ops.convert_to_numpy(one).ravel()[::7].tolist() for one in prepared],
        "losses": losses.losses,
        "tensorflow": "tensorflow" in sys.modules,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
