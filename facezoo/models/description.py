"""A model as the plain data of a preset, and the parts that such data describes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from facezoo.contracts import AuxiliaryLoss, Backbone, MarginHead
from facezoo.data.preprocessing import Preprocessing
from facezoo.heads.concat import ConcatHead
from facezoo.layers.embedding_output import EmbeddingOutput
from facezoo.models.parts import (
    create_auxiliary_loss,
    create_backbone,
    create_embedding,
    create_head,
    variant_name,
)

if TYPE_CHECKING:
    from facezoo.models.face_model import FaceModel

# Arguments of EmbeddingOutput that have no field of their own in preset.json.
_EMBEDDING_OPTIONS = ("hidden_units", "maxout", "dropout", "epsilon")


def describe(model: "FaceModel") -> dict[str, Any]:
    """Returns a model as a preset without weights: plain data that JSON can hold."""
    auxiliary = model.auxiliary_loss
    return {
        "name": model.name,
        "backbone": {
            "name": variant_name(model.backbone),
            "overrides": _arguments(model.backbone),
        },
        "embedding_dim": model.embedding.embedding_dim,
        "embedding_pooling": model.embedding.pooling,
        "embedding_batch_norm": model.embedding.batch_norm,
        "embedding_options": _options(model.embedding),
        "head": model.head and _describe_head(model.head),
        "auxiliary_loss": auxiliary and {"name": variant_name(auxiliary), **_arguments(auxiliary)},
        "preprocessing": model.preprocessing.get_config(),
        "weights": None,
        "thresholds": None,
        "card": None,
    }


def make_parts(preset: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `FaceModel` that a preset describes, with fresh weights.

    Args:
        preset: As `facezoo.presets.load` returns it.

    Raises:
        ValueError: A name is unknown, or an argument out of range.
    """
    described, head = preset["backbone"], preset["head"]
    auxiliary = preset["auxiliary_loss"]
    backbone = create_backbone(described["name"], **described["overrides"])
    return {
        "backbone": backbone,
        "embedding": create_embedding(
            backbone,
            {
                "embedding_dim": preset["embedding_dim"],
                "pooling": preset["embedding_pooling"],
                "batch_norm": preset["embedding_batch_norm"],
                **(preset["embedding_options"] or {}),
            },
        ),
        "head": _make_head(head) if head else None,
        "auxiliary_loss": create_auxiliary_loss(**auxiliary) if auxiliary else None,
        "preprocessing": Preprocessing(**preset["preprocessing"]),
        "name": backbone.name,
    }


def _options(embedding: EmbeddingOutput) -> dict[str, Any]:
    config = embedding.get_config()
    return {key: config[key] for key in _EMBEDDING_OPTIONS}


def _describe_head(head: MarginHead) -> dict[str, Any]:
    described = {"name": variant_name(head), **_arguments(head)}
    if isinstance(head, ConcatHead):
        described["heads"] = [_describe_head(one) for one in head.heads]
    return described


def _make_head(described: Mapping[str, Any]) -> MarginHead | None:
    if "heads" in described:
        arguments = {key: value for key, value in described.items() if key != "name"}
        return ConcatHead(**{**arguments, "heads": [*map(_make_head, described["heads"])]})
    # A head without a number of classes waits for the data.
    return create_head(**described) if described.get("num_classes") else None


def _arguments(part: Backbone | MarginHead | AuxiliaryLoss) -> dict[str, Any]:
    ours = part.get_config()
    return {key: value for key, value in ours.items() if key not in ("name", "trainable", "dtype")}
