"""How large a model is and how much it computes, counted without a weight in memory."""

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import keras

from facezoo.models.face_model import FaceModel

_Built = TypeVar("_Built")


def blueprint(build: Callable[..., _Built], *args: Any, **kwargs: Any) -> _Built:
    """Calls a function that makes a model or layer, whose weights get shapes but no values.

    NN1 fills 560 MB with random numbers, its blueprint next to nothing. A blueprint can be counted
    and its shapes looked at; it cannot embed, train or be saved. It is made in a thread of its own,
    which does not see the caller's dtype policy.

    Args:
        build: Such as `create_model`.
        args: Of `build`.
        kwargs: Of `build`.

    Returns:
        What `build` returned.

    Example:
        >>> from facezoo.models import create_model
        >>> blueprint(create_model, "nn1").backbone.output_shape
        (None, 7, 7, 256)
    """
    # Keras lists the variables without values, to fill them at the end of whatever scope comes
    # next. The list belongs to the thread and ends with it.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(_build_without_values, build, args, kwargs).result()


def _build_without_values(
    build: Callable[..., _Built], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> _Built:
    with keras.StatelessScope(initialize_variables=False):
        return build(*args, **kwargs)


def count_parameters(model: FaceModel) -> int:
    """Returns the trainable parameters from image to embedding; a head is not counted.

    Args:
        model: A model or its blueprint.

    Example:
        >>> from facezoo.models import create_model
        >>> count_parameters(blueprint(create_model, "nn1"))
        140025664
    """
    parts = (model.backbone, model.embedding)
    return sum(_num_values(part.trainable_weights) for part in parts)


def count_macs(model: FaceModel) -> int:
    """Returns the multiply-adds of convolutions and dense layers, from one image to its embedding.

    Each layer has as many as it has output positions, times the size of its kernel. Padding counts
    as image; normalisation, pooling, biases and activations do not count, as usual in tables.

    Args:
        model: A model or its blueprint.

    Example:
        >>> from facezoo.models import create_model
        >>> count_macs(blueprint(create_model, "nn1"))
        1605944064
    """
    backbone = sum(
        math.prod(layer.output.shape[1:-1]) * _num_values(_kernels(layer))
        for layer in model.backbone.layers
    )
    # A kernel of the embedding output is used at one position, whatever the pooling.
    return backbone + _num_values(_kernels(model.embedding))


def _kernels(layer: keras.layers.Layer) -> list[keras.Variable]:
    return [weight for weight in layer.weights if weight.name == "kernel"]


def _num_values(weights: Iterable[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)
