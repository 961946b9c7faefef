"""Names to parts: backbones, heads, losses and embedding outputs by what the field calls them."""

from collections.abc import Mapping
from typing import Any

from facezoo import registry
from facezoo.contracts import AuxiliaryLoss, Backbone, MarginHead
from facezoo.layers.embedding_output import EmbeddingOutput


def create_backbone(name: str, **overrides: Any) -> Backbone:
    """Makes a backbone of the zoo.

    Args:
        name: Variant, such as `"nn4"`; `list_parts("backbone")` lists them.
        overrides: Arguments of its class, such as `image_shape=(112, 96, 3)`.

    Raises:
        ValueError: The name is unknown, or an argument out of range.
    """
    return _create("backbone", name, {"name": name, **overrides})


def create_head(name: str, **arguments: Any) -> MarginHead:
    """Makes a head.

    Args:
        name: Such as `"cosface"`; `list_parts("head")` lists them.
        arguments: `num_classes`, `scale`, and the head's own, such as `margin`.

    Raises:
        ValueError: The name is unknown, or an argument out of range.
    """
    return _create("head", name, arguments)


def create_auxiliary_loss(name: str, **arguments: Any) -> AuxiliaryLoss:
    """Makes a loss with weights of its own.

    Args:
        name: Such as `"center"`; `list_parts("auxiliary_loss")` lists them.
        arguments: `weight`, and the loss's own, such as `num_classes`.

    Raises:
        ValueError: The name is unknown, or an argument out of range.
    """
    return _create("auxiliary_loss", name, arguments)


def create_embedding(
    backbone: Backbone, arguments: Mapping[str, Any] | None = None
) -> EmbeddingOutput:
    """Makes the embedding output of a backbone.

    Args:
        backbone: Whose feature map it takes.
        arguments: Of `EmbeddingOutput`, where they differ from what the backbone was published
            with; another `pooling` leaves all that was published behind but the length.

    Raises:
        ValueError: An argument is out of range.
    """
    published = published_embedding(backbone)
    chosen = {key: value for key, value in (arguments or {}).items() if value is not None}
    if chosen.get("pooling", published.get("pooling")) != published.get("pooling"):
        published = {key: published[key] for key in ("embedding_dim",) if key in published}
    return EmbeddingOutput(**{**published, **chosen}, name="embedding")


def published_embedding(backbone: Backbone) -> dict[str, Any]:
    """Returns the arguments of `EmbeddingOutput` that a backbone was published with."""
    variant = variant_name(backbone)
    return {**backbone.EMBEDDING, **backbone.VARIANT_EMBEDDING.get(variant, {})}


def list_parts(kind: str) -> list[str]:
    """Returns the names of a kind's parts.

    Args:
        kind: `"backbone"`, `"head"`, `"loss"`, `"auxiliary_loss"` or `"layer"`.

    Raises:
        ValueError: The kind is unknown.
    """
    return registry.names(kind)


def variant_name(part: Any) -> str:
    """Returns a part's variant, if it bears the name of one, or else the name of its file."""
    variants = getattr(type(part), "VARIANTS", {})
    return part.name if part.name in variants else _file_name(part)


def _file_name(part: Any) -> str:
    return type(part).__module__.rpartition(".")[2]


def _create(kind: str, name: str, arguments: Mapping[str, Any]) -> Any:
    cls, defaults = registry.get(kind, name)
    return cls(**{**defaults, **arguments})
