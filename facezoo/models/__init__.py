"""FaceModel, and how to make one."""

from facezoo.models.create import create_model
from facezoo.models.face_model import FaceModel, describe
from facezoo.models.parts import create_backbone, create_head, list_parts

__all__ = [
    "FaceModel",
    "create_backbone",
    "create_head",
    "create_model",
    "describe",
    "list_parts",
]
