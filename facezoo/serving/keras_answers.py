"""What every signature must answer, found without it: by the FaceModel and the data functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from facezoo import shapes, thresholds
from facezoo.data.align import align, arcface_template
from facezoo.data.decode import decode_image
from facezoo.models import FaceModel
from facezoo.ops import quantize
from facezoo.serving.facts import REPORTED, Facts
from facezoo.serving.signatures import (
    DISTANCE,
    EMBEDDING_BYTES,
    NUM_BYTES,
    PROBABILITY,
    SAME,
    VALID,
)

Arrays = Mapping[str, np.ndarray]
# Made-up points lie in this share of the picture, around its middle.
_FACE_SHARE = 0.8


@dataclass(frozen=True)
class KerasAnswers:
    """Answers for photographs that can all be read.

    Args:
        model: What was exported.
        facts: What the exported model must say of itself.
        photographs: N JPEGs or PNGs.
        image: float32 [N, h, w, 3], the same photographs as training prepares them.
    """

    model: FaceModel
    facts: Facts
    photographs: Sequence[bytes]
    image: np.ndarray

    @cached_property
    def plain(self) -> Arrays:
        """Embeddings and norms, without saying which are valid."""
        return self._call(self.image)

    @cached_property
    def pixels(self) -> list[np.ndarray]:
        """The photographs decoded, uint8 [H, W, 3] each."""
        return [decode_image(one).numpy() for one in self.photographs]

    @cached_property
    def landmarks(self) -> np.ndarray:
        """Points where a face might be, float32 [N, 5, 2]."""
        face = arcface_template(1, 1).numpy() * _FACE_SHARE + (1.0 - _FACE_SHARE) / 2.0
        sizes = [(one.shape[1], one.shape[0]) for one in self.pixels]
        return np.array([face * size for size in sizes], np.float32)

    def embedded(self) -> Arrays:
        """What a signature answers that takes bytes."""
        return _all_valid(self.plain)

    def flipped(self) -> Arrays:
        """The mean of both mirror images, at unit length, and the mean of their norms."""
        mirrored = self._call(self.image[:, :, ::-1])
        both = {name: (values + mirrored[name]) / 2 for name, values in self.plain.items()}
        return _all_valid({**both, shapes.EMBEDDING: _unit(both[shapes.EMBEDDING])})

    def aligned(self) -> Arrays:
        """Embeddings of the faces that `landmarks` cut out."""
        preprocessing = self.model.preprocessing
        size = (preprocessing.height, preprocessing.width)
        faces = [
            align(tf.constant(one), tf.constant(points), *size)
            for one, points in zip(self.pixels, self.landmarks, strict=True)
        ]
        return _all_valid(self._call(preprocessing.standardize(tf.stack(faces))))

    def coded(self) -> Arrays:
        """Embeddings in bytes."""
        short = _unit(self.plain[shapes.EMBEDDING][:, :NUM_BYTES])
        code = keras.ops.convert_to_numpy(quantize(short, self.facts.byte_scale))
        texts = np.array([row.tobytes() for row in code], dtype=object)
        return _all_valid({EMBEDDING_BYTES: texts, shapes.NORM: self.plain[shapes.NORM]})

    def compared(self, first: Sequence[int], second: Sequence[int]) -> Arrays:
        """Verdicts on pairs of photographs, by their places."""
        table, embedding = self.facts.thresholds, self.plain[shapes.EMBEDDING].astype(np.float64)
        distance = np.sum((embedding[first] - embedding[second]) ** 2, axis=1).astype(np.float32)
        probability = [thresholds.probability(table, float(one)) for one in distance]
        verdict = {
            DISTANCE: distance,
            SAME: distance <= thresholds.stored(table, None).value,
            PROBABILITY: np.array(probability, np.float32),
        }
        return _all_valid(verdict)

    def info(self) -> Arrays:
        """What the model says of itself."""
        constants = self.facts.constants()
        return {name: constants[name][np.newaxis] for name in REPORTED}

    def _call(self, image: np.ndarray) -> Arrays:
        answer = self.model(image, training=False)
        return {name: keras.ops.convert_to_numpy(values) for name, values in answer.items()}


def _all_valid(answer: Arrays) -> Arrays:
    return {**answer, VALID: np.ones(len(next(iter(answer.values()))), bool)}


def _unit(embedding: np.ndarray) -> np.ndarray:
    return embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
