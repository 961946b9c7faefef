"""Stand-ins for faces: people who differ in hue and in nothing else, and models that see hue."""

import io

import keras
import numpy as np
from PIL import Image

from facezoo.contracts import Backbone
from facezoo.data.examples import encode_example
from facezoo.data.records import RecordWriter
from facezoo.data.schema import FaceRecord
from facezoo.models import create_model
from pipelines.artifacts import Examples, Model

_HEIGHT, _WIDTH = 20, 16
HUE_AXES = np.array([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]], np.float32)


@keras.saving.register_keras_serializable("facezoo_tests")
class Colors(Backbone):
    """One 1x1 convolution: enough to see colours."""

    def __init__(self, image_shape=(_HEIGHT, _WIDTH, 3), **kwargs):
        image = keras.Input(image_shape)
        super().__init__(
            inputs=image,
            outputs=keras.layers.Conv2D(3, 1, use_bias=False, name="mix")(image),
            **kwargs,
        )
        self.image_shape = tuple(image_shape)

    def get_config(self):
        return {"name": self.name, "image_shape": list(self.image_shape)}


def png(hue, generator):
    """One colour under a strong grey pattern and light of its own, which pixels mostly show."""
    color = 15.0 * HUE_AXES @ [np.cos(hue), np.sin(hue)]
    pattern = np.kron(generator.normal(0, 30, (5, 4)), np.ones((4, 4)))
    grain = generator.normal(0, 8, (_HEIGHT, _WIDTH, 3))
    image = 128 + generator.normal(0, 15) + pattern[..., None] + color + grain
    buffer = io.BytesIO()
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write_examples(folder, num_images, shards=2):
    """Writes an eval split with so many images for each person."""
    generator = np.random.default_rng(1)
    examples = Examples(folder)
    examples.splits = ["eval"]
    examples.split_dir("eval").mkdir(parents=True)
    records = [
        FaceRecord(
            png(6.28 * person / len(num_images), generator),
            *("png", _HEIGHT, _WIDTH, f"{person}/{i}.png", f"p{person}", 30 + person, "hues"),
        )
        for person, num in enumerate(num_images)
        for i in range(num)
    ]
    for shard in range(shards):
        name = f"data_tfrecord-{shard:05}-of-{shards:05}"
        with RecordWriter(examples.split_dir("eval") / name) as writer:
            for record in records[shard::shards]:
                writer.write(encode_example(record))
    return examples


def write_model(folder, axes=HUE_AXES):
    """Writes a model that has learned hue, or whatever the axes say."""
    model = create_model(Colors(), embedding_dim=2)
    model.backbone.get_layer("mix").set_weights([np.eye(3)[None, None]])
    model.embedding.dense.set_weights([axes, np.zeros(2)])
    model.save_preset(folder)
    return Model(folder, fingerprint=folder.name)
