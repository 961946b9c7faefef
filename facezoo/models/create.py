"""`create_model`: a whole model from the name of its backbone."""

from typing import Any

from facezoo.contracts import Backbone, MarginHead
from facezoo.data.preprocessing import Preprocessing
from facezoo.models.face_model import FaceModel
from facezoo.models.parts import create_backbone, create_embedding


def create_model(
    backbone: str | Backbone,
    embedding_dim: int = 128,
    head: MarginHead | None = None,
    pooling: str | None = None,
    batch_norm: bool | None = None,
    preprocessing: Preprocessing | None = None,
    **overrides: Any,
) -> FaceModel:
    """Makes a model with fresh weights.

    Args:
        backbone: Name of a variant, or a backbone.
        embedding_dim: Length of the embedding.
        head: For a loss on classes.
        pooling: See `EmbeddingOutput`; None for what the backbone was published with.
        batch_norm: See `EmbeddingOutput`.
        preprocessing: See `FaceModel`.
        overrides: Arguments of the backbone, if `backbone` is a name.

    Raises:
        ValueError: A name is unknown, or an argument out of range.

    Example:
        >>> create_model("nn4", embedding_dim=128).count_params() > 6_000_000
        True
    """
    if isinstance(backbone, str):
        backbone = create_backbone(backbone, **overrides)
    embedding = create_embedding(backbone, embedding_dim, pooling, batch_norm)
    return FaceModel(backbone, embedding, head, preprocessing, name=backbone.name)
