"""What a served model can be asked: its signatures, by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import tensorflow as tf

from facezoo import shapes
from facezoo.data.align import NUM_LANDMARKS, align
from facezoo.data.decode import resize
from facezoo.data.decode_safely import decode_upright, map_valid
from facezoo.data.preprocessing import Preprocessing
from facezoo.ops import l2_normalize, quantize
from facezoo.serving.facts import CALIBRATION, REPORTED, THRESHOLD, Facts, constant
from facezoo.serving.frozen import IMAGE

# Signatures.
SERVING_DEFAULT: Final = "serving_default"
EMBED_BYTES: Final = "embed_bytes"
EMBED_FLIP: Final = "embed_flip"
EMBED_LANDMARKS: Final = "embed_landmarks"
EMBED_128: Final = "embed_128"
VERIFY_PAIR: Final = "verify_pair"
EMBED_IMAGE: Final = "embed_image"
EMBED: Final = "embed"
INFO: Final = "info"
# Their inputs; `image` is the network's own.
IMAGE_BYTES: Final = "image_bytes"
LANDMARKS: Final = "landmarks"
FIRST_BYTES: Final = "first_bytes"
SECOND_BYTES: Final = "second_bytes"
IGNORED: Final = "ignored"
# Their outputs, beside `embedding` and `norm`. REST sends bytes only under a name in `_bytes`.
VALID: Final = "valid"
EMBEDDING_BYTES: Final = "embedding_bytes"
DISTANCE: Final = "distance"
SAME: Final = "same"
PROBABILITY: Final = "probability"
# Bytes of a short embedding.
NUM_BYTES: Final = 128

Answer = Mapping[str, tf.Tensor]
Signature = tuple[Callable[..., Answer], Sequence[tf.TensorSpec]]
_ENCODED_PICTURE: Final = tf.TensorSpec([], tf.string)
_ENCODED_PICTURES: Final = tf.TensorSpec([None], tf.string)
# By code + 128: how a number of one byte becomes text.
_BYTES: Final = [bytes([code % 256]) for code in range(-128, 128)]
_NO_THRESHOLDS: Final = (
    "No thresholds are stored in this model: verify_pair cannot tell what is the same person. "
    "Serve one that the pipeline's Evaluator measured, or compare embeddings yourself."
)


class Signatures:
    """The doors of a served model; N may be anything, and for all but `embed` also 0.

    | name | takes | answers |
    |---|---|---|
    | `embed_bytes`, `serving_default` | `image_bytes` string [N] | embedding, norm, valid |
    | `embed_flip` | the same | the same, of both mirror images together |
    | `embed_landmarks` | and `landmarks` float32 [N, 5, 2] | the same, of the faces cut out |
    | `embed_128` | `image_bytes` | `embedding_bytes` string [N], norm, valid |
    | `verify_pair` | `first_bytes`, `second_bytes` | distance, same, probability, valid |
    | `embed_image` | `image` uint8 [N, H, W, 3] | embedding, norm |
    | `embed` | `image` float32 [N, h, w, 3], standardised | embedding, norm |
    | `info` | `ignored` string [N] | what the model says of itself, [1] each |

    `embedding` is float32 unit [N, D]; `norm`, `distance` and `probability` are float32, `valid`
    and `same` bool [N]. Pictures in bytes are JPEGs or PNGs of any size and kind; what
    `images.normalize` refuses or would have to convert from another format is not `valid`, with
    zeros in its row, and harms no other. One thing passes that `normalize` refuses: damage within
    a JPEG's data that its decoder gets over with a warning. `embed` holds no image operation, so
    that other engines can run it.

    Args:
        network: Standardised images to `{"embedding", "norm"}`, as `frozen.freeze` makes it.
        preprocessing: What is done to a picture first.
        facts: What the model says of itself; its thresholds can be exchanged later.
    """

    def __init__(
        self,
        network: Callable[[tf.Tensor], Answer],
        preprocessing: Preprocessing,
        facts: Facts,
    ) -> None:
        self.network = network
        self.preprocessing = preprocessing
        self.facts = facts
        # Functions of the graph: what several signatures need is in it once.
        self._decode = _in_graph(decode_upright, _ENCODED_PICTURE)
        self._bytes_to_embedding = _in_graph(self._embed_encoded, _ENCODED_PICTURES)

    def by_name(self) -> dict[str, Signature]:
        """Returns function and inputs of every signature, the default one first."""
        points = tf.TensorSpec([None, NUM_LANDMARKS, 2], tf.float32, LANDMARKS)
        pixels = tf.TensorSpec([None, None, None, shapes.NUM_CHANNELS], tf.uint8, IMAGE)
        image = tf.TensorSpec([None, *self.preprocessing.image_shape], tf.float32, IMAGE)
        return {
            SERVING_DEFAULT: (self.embed_bytes, [_strings(IMAGE_BYTES)]),
            EMBED_BYTES: (self.embed_bytes, [_strings(IMAGE_BYTES)]),
            EMBED_FLIP: (self.embed_flip, [_strings(IMAGE_BYTES)]),
            EMBED_LANDMARKS: (self.embed_landmarks, [_strings(IMAGE_BYTES), points]),
            EMBED_128: (self.embed_128, [_strings(IMAGE_BYTES)]),
            VERIFY_PAIR: (self.verify_pair, [_strings(FIRST_BYTES), _strings(SECOND_BYTES)]),
            EMBED_IMAGE: (self.embed_image, [pixels]),
            EMBED: (self.network, [image]),
            INFO: (self.info, [_strings(IGNORED)]),
        }

    def embed_bytes(self, image_bytes: tf.Tensor) -> Answer:
        """Embeds encoded pictures; a row that is none is zeros and not `valid`."""
        return self._bytes_to_embedding(image_bytes)

    def embed_flip(self, image_bytes: tf.Tensor) -> Answer:
        """Embeds pictures and their mirror images: the mean at unit length, and the mean norm."""
        image, valid = self._images(self._decode, image_bytes)
        both = self._embed(tf.concat([image, tf.reverse(image, [2])], axis=0))
        one, other = tf.split(both[shapes.EMBEDDING], 2)
        embedding, _ = l2_normalize(one + other)
        norm = tf.reduce_mean(tf.split(both[shapes.NORM], 2), axis=0)
        return _where_valid({shapes.EMBEDDING: embedding, shapes.NORM: norm}, valid)

    def embed_landmarks(self, image_bytes: tf.Tensor, landmarks: tf.Tensor) -> Answer:
        """Embeds faces that are cut out of pictures by five points each."""
        height, width, _ = self.preprocessing.image_shape

        def cut_out(encoded: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
            return align(self._decode(encoded), points, height, width)

        image, valid = self._images(cut_out, image_bytes, landmarks)
        return _where_valid(self._embed(image), valid)

    def embed_128(self, image_bytes: tf.Tensor) -> Answer:
        """Embeds pictures in 128 bytes: the first 128 numbers at unit length, one byte each."""
        answer = dict(self.embed_bytes(image_bytes))
        embedding, _ = l2_normalize(answer.pop(shapes.EMBEDDING)[:, :NUM_BYTES])
        code = tf.cast(quantize(embedding, self.facts.byte_scale), tf.int32)
        texts = tf.strings.reduce_join(tf.gather(_BYTES, code + 128), axis=1)
        return {EMBEDDING_BYTES: texts, **answer}

    def verify_pair(self, first_bytes: tf.Tensor, second_bytes: tf.Tensor) -> Answer:
        """Compares pictures two by two, with the verdict of `facezoo verify`."""
        threshold = constant(self.facts, THRESHOLD)
        intercept, slope = tf.unstack(constant(self.facts, CALIBRATION))
        # TensorFlow's own assertions look at constants now, and not after they were exchanged.
        is_measured = tf.raw_ops.Assert(
            condition=tf.math.is_finite(threshold), data=[tf.constant(_NO_THRESHOLDS)]
        )
        # Without it, three and one would be taken for two and two.
        is_paired = tf.debugging.assert_equal(
            *(tf.shape(first_bytes), tf.shape(second_bytes)), "as many second pictures as first"
        )
        with tf.control_dependencies([is_measured, is_paired]):
            both = self.embed_bytes(tf.concat([first_bytes, second_bytes], axis=0))
        one, other = tf.split(tf.cast(both[shapes.EMBEDDING], tf.float64), 2)
        # Rounded as the distances that the thresholds were chosen from.
        distance = tf.cast(tf.reduce_sum(tf.square(one - other), axis=1), tf.float32)
        wide = tf.cast(distance, tf.float64)
        probability = tf.cast(tf.sigmoid(intercept + slope * wide), tf.float32)
        answer = {DISTANCE: distance, SAME: wide <= threshold, PROBABILITY: probability}
        return _where_valid(answer, tf.reduce_all(tf.split(both[VALID], 2), axis=0))

    def embed_image(self, image: tf.Tensor) -> Answer:
        """Embeds pixels of any one size."""
        return self._embed(self.preprocessing.standardize(resize(image, self.preprocessing)))

    def info(self, ignored: tf.Tensor) -> Answer:
        """Says what the model is, once for each row of an input that is not looked at.

        TensorFlow Serving's REST interface wants an input, and its batching as many rows as that.
        """
        num_rows = tf.shape(ignored)[0]
        return {name: tf.repeat(constant(self.facts, name), num_rows) for name in REPORTED}

    def _images(
        self, decode: Callable[..., tf.Tensor], *rows: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Standardised images [N, h, w, 3], and which of them are valid."""
        image, valid = map_valid(
            lambda *row: resize(decode(*row), self.preprocessing),
            rows,
            tf.TensorSpec(self.preprocessing.image_shape, tf.float32),
        )
        return self.preprocessing.standardize(image), valid

    def _embed_encoded(self, encoded: tf.Tensor) -> Answer:
        image, valid = self._images(self._decode, encoded)
        return _where_valid(self._embed(image), valid)

    def _embed(self, image: tf.Tensor) -> Answer:
        # Kernels of oneDNN fail on a batch of none. No tf.pad: where a convolution comes next,
        # TensorFlow makes one operation of the two, which pads rows and columns only.
        num_rows = tf.shape(image)[0]
        is_empty = tf.cast(num_rows == 0, tf.int32)
        one_more = tf.zeros([is_empty, *self.preprocessing.image_shape], image.dtype)
        answer = self.network(tf.concat([image, one_more], axis=0))
        return {name: values[:num_rows] for name, values in answer.items()}


def _in_graph(function: Callable[[tf.Tensor], Any], spec: tf.TensorSpec) -> Callable[..., Any]:
    return tf.function(function, input_signature=[spec], autograph=False)


def _strings(name: str) -> tf.TensorSpec:
    return tf.TensorSpec([None], tf.string, name)


def _where_valid(answer: Answer, valid: tf.Tensor) -> Answer:
    """Zeros in the other rows, and which they are."""
    masked = {
        name: tf.where(
            tf.reshape(valid, [-1] + [1] * (values.shape.rank - 1)), values, tf.zeros_like(values)
        )
        for name, values in answer.items()
    }
    return {**masked, VALID: valid}
