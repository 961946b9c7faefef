"""The heads: each turns embeddings into logits while a loss is computed, and is dropped after."""

from facezoo.heads.cosface import CosFace
from facezoo.heads.normface import NormFace

__all__ = ["CosFace", "NormFace"]
