"""The public face of facezoo: importing it registers every part with Keras."""

from facezoo import backbones, heads, layers, losses
from facezoo.data.preprocessing import Preprocessing
from facezoo.losses import TripletSemiHardLoss
from facezoo.models import (
    ExpertModel,
    FaceModel,
    HardExampleModel,
    create_auxiliary_loss,
    create_backbone,
    create_head,
    create_model,
    list_parts,
)

__all__ = [
    "ExpertModel",
    "FaceModel",
    "HardExampleModel",
    "Preprocessing",
    "TripletSemiHardLoss",
    "backbones",
    "create_auxiliary_loss",
    "create_backbone",
    "create_head",
    "create_model",
    "heads",
    "layers",
    "list_parts",
    "losses",
]
