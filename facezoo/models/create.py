"""`create_model`: a whole model from the name of its backbone."""

from collections.abc import Mapping
from typing import Any

from facezoo.contracts import AuxiliaryLoss, Backbone, MarginHead
from facezoo.data.preprocessing import Preprocessing
from facezoo.models.face_model import FaceModel
from facezoo.models.parts import create_backbone, create_embedding


def create_model(
    backbone: str | Backbone,
    embedding_dim: int | None = None,
    head: MarginHead | None = None,
    preprocessing: Preprocessing | None = None,
    embedding: Mapping[str, Any] | None = None,
    auxiliary_loss: AuxiliaryLoss | None = None,
    **overrides: Any,
) -> FaceModel:
    """Makes a model with fresh weights.

    Args:
        backbone: Name of a variant, or a backbone.
        embedding_dim: Length of the embedding; None for what the backbone was published with.
        head: For a loss on classes.
        preprocessing: See `FaceModel`.
        embedding: Further arguments of `EmbeddingOutput`, such as `{"pooling": "flatten"}`; what is
            not named is as the backbone was published.
        auxiliary_loss: Added to the compiled loss.
        overrides: Arguments of the backbone, if `backbone` is a name.

    Raises:
        ValueError: A name is unknown, or an argument out of range.

    Example:
        >>> create_model("nn4", embedding_dim=64).count_params() > 6_000_000
        True
    """
    if isinstance(backbone, str):
        backbone = create_backbone(backbone, **overrides)
    arguments = dict(embedding or {})
    if embedding_dim is not None:
        arguments["embedding_dim"] = embedding_dim
    output = create_embedding(backbone, arguments)
    return FaceModel(backbone, output, head, preprocessing, auxiliary_loss, name=backbone.name)
