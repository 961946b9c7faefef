"""What a model's weights are, in sixteen characters: thresholds are bound to it."""

import hashlib
from collections.abc import Iterable

import keras
import numpy as np
from numpy.typing import ArrayLike

from facezoo.models.face_model import FaceModel


def weights_fingerprint(weights: Iterable[ArrayLike]) -> str:
    """Digest of the values of weights, whatever they are called and in whatever order they come.

    So a model has the same one as a Keras model, after it was saved and loaded, and as SavedModel.

    Args:
        weights: Arrays of any shape. Those that are not floating-point, such as counters and the
            states of random generators, do not count.

    Returns:
        16 hexadecimal digits.

    Example:
        >>> one, other = np.ones([2, 3], "float32"), np.zeros([4], "float32")
        >>> weights_fingerprint([one, other]) == weights_fingerprint([other, one])
        True
    """
    digests = []
    for value in map(np.asarray, weights):
        if np.issubdtype(value.dtype, np.floating):
            digest = hashlib.sha256(f"{value.dtype} {value.shape} ".encode())
            digest.update(np.ascontiguousarray(value).data)
            digests.append(digest.digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()[:16]


def model_fingerprint(model: FaceModel) -> str:
    """Digest of the weights that make a model's embedding; a head does not count."""
    weights = [*model.backbone.variables, *model.embedding.variables]
    return weights_fingerprint(keras.ops.convert_to_numpy(one) for one in weights)
