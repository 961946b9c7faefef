"""A weight file to a model: finds its layout, makes the model, fills every weight once."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from facezoo import registry
from facezoo.conversion import weight_files
from facezoo.conversion.layout import Layout
from facezoo.models import FaceModel

# Of EmbeddingOutput; those that a model lacks are None.
_EMBEDDING_PARTS = ("input_bn", "depthwise", "depthwise_bn", "dense", "bn")
_SHOWN = 5


def recognize(path: str | os.PathLike[str]) -> Layout:
    """Reads a weight file and finds out whose it is.

    Args:
        path: See `weight_files.read`.

    Returns:
        The layout, with the file's arrays.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: It is damaged, of an unknown architecture, or not what its layout promises.
    """
    arrays = weight_files.read(path)
    layouts = registry.parts("layout")
    for layout in layouts.values():
        if layout.recognizes(arrays.keys()):
            return layout(arrays, str(path))
    known = "; ".join(f"{name} ({layout.SOURCE})" for name, layout in layouts.items())
    raise ValueError(
        f"{path} holds the weights of no network that can be converted. Known: {known}. "
        f"Received: {_listed(sorted(arrays)) or 'no array at all'}."
    )


def fill(layout: Layout) -> FaceModel:
    """Makes the model of a layout and gives every weight its array.

    Raises:
        ValueError: An array is missing, left over, of another shape, or not finite.
    """
    model = layout.create_model()
    left_over = dict(layout.arrays)
    missing, misshapen = [], []
    for name, layer, weight in _weights(model):
        source = layout.FRAMEWORK.array_name(layout.prefix(name), weight.name)
        if source not in left_over:
            missing.append(source)
            continue
        array = left_over.pop(source)
        value = layout.FRAMEWORK.to_keras(array, layer, _map_size(model))
        if value.shape != tuple(weight.shape):
            misshapen.append(f"{source} {array.shape} for {tuple(weight.shape)}")
        elif not np.all(np.isfinite(value)):
            raise ValueError(layout.unfit(f"{source} holds infinite numbers or NaN."))
        else:
            weight.assign(value)
    problems = {"Missing": missing, "Left over": sorted(left_over), "Another shape": misshapen}
    if any(problems.values()):
        found = (f"{kind}: {_listed(names)}." for kind, names in problems.items() if names)
        raise ValueError(layout.unfit(" ".join(found)))
    return model


def convert_weights(path: str | os.PathLike[str]) -> FaceModel:
    """Turns a weight file of another implementation into a model that embeds as it does.

    Args:
        path: See `weight_files.read`. No code from the file runs.

    Returns:
        The model; its preprocessing is what the network was trained with, but for the alignment.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: It is damaged, or not exactly one of the known networks.
    """
    return fill(recognize(path))


def _weights(model: FaceModel) -> Iterator[tuple[str, keras.layers.Layer, Any]]:
    """Yields every weight with its layer and the name that layouts know the layer by."""
    for layer in model.backbone.layers:
        yield from ((layer.name, layer, weight) for weight in layer.weights)
    for part in _EMBEDDING_PARTS:
        layer = getattr(model.embedding, part)
        if layer is not None:
            yield from ((f"embedding/{part}", layer, weight) for weight in layer.weights)


def _map_size(model: FaceModel) -> tuple[int, int]:
    """Rows and columns that the embedding's dense layer sees flattened."""
    if "flatten" not in model.embedding.pooling:
        return (1, 1)
    return tuple(model.backbone.output_shape[1:3])


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
