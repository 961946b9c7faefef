"""FaceModel to SavedModel: one set of weights behind several named signatures."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import keras
import tensorflow as tf

from facezoo import shapes
from facezoo.data.decode import decode_and_resize, resize
from facezoo.models import FaceModel
from facezoo.serving.reproducible import make_reproducible

# Signatures.
SERVING_DEFAULT: Final = "serving_default"
EMBED_BYTES: Final = "embed_bytes"
EMBED_IMAGE: Final = "embed_image"
EMBED: Final = "embed"
# Their inputs.
IMAGE_BYTES: Final = "image_bytes"
IMAGE: Final = "image"
# Where TensorFlow Serving looks for what is not the model.
EXTRA_DIR: Final = "assets.extra"

_Answer = Mapping[str, Any]
_Signature = tuple[Callable[[tf.Tensor], _Answer], tf.TensorSpec]


def signatures(model: FaceModel) -> dict[str, _Signature]:
    """Returns every door of a served model: function and input by name, the default one first.

    All answer `{"embedding": float32 unit [N, D], "norm": float32 [N]}`:

    * `embed_bytes`: `image_bytes`, string [N], each a JPEG or PNG of any size;
    * `embed_image`: `image`, uint8 [N, H, W, 3], RGB, any size;
    * `embed`: `image`, float32 [N, h, w, 3], standardised, in the network's size. No image
      operation is in it, so that engines other than TensorFlow can run it.

    Decoding, resizing and standardisation are the functions that training calls.
    """
    preprocessing = model.preprocessing
    shape = preprocessing.image_shape
    standardized = tf.TensorSpec([None, *shape], tf.float32, IMAGE)

    # A function in the graph: all doors share one copy of the network.
    @tf.function(input_signature=[standardized], autograph=False)
    def embed(image: tf.Tensor) -> _Answer:
        return model(image, training=False)

    def embed_image(image: tf.Tensor) -> _Answer:
        return embed(preprocessing.standardize(resize(image, preprocessing)))

    def embed_bytes(image_bytes: tf.Tensor) -> _Answer:
        image = tf.map_fn(
            lambda encoded: decode_and_resize(encoded, preprocessing),
            image_bytes,
            fn_output_signature=tf.TensorSpec(shape, tf.float32),
        )
        return embed(preprocessing.standardize(image))

    any_size = [None, None, None, shapes.NUM_CHANNELS]
    return {
        EMBED_BYTES: (embed_bytes, tf.TensorSpec([None], tf.string, IMAGE_BYTES)),
        EMBED_IMAGE: (embed_image, tf.TensorSpec(any_size, tf.uint8, IMAGE)),
        EMBED: (embed, standardized),
    }


def export_saved_model(model: FaceModel, folder: Path) -> None:
    """Writes a model as SavedModel with the doors of `signatures`, in inference mode.

    The first door is `serving_default` as well. The head stays behind: it served the loss.
    The same model gives the same bytes in any process.

    Args:
        model: Built.
        folder: Made if it is not there.
    """
    archive = keras.export.ExportArchive()
    position = {id(variable.value): i for i, variable in enumerate(model.variables)}
    for name, (function, spec) in signatures(model).items():
        endpoint = archive.add_endpoint(name, function, [spec])
        graph = endpoint.get_concrete_function().graph
        # TensorFlow keeps them in a set, ordered by memory address, and saves them in that order.
        graph.variables = sorted(graph.variables, key=lambda variable: position[id(variable)])
    archive.write_out(str(folder), verbose=False)
    make_reproducible(Path(folder))
