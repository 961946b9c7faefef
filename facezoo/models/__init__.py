"""FaceModel, and how to make one."""

from facezoo.models.class_accuracy import ClassAccuracy
from facezoo.models.complexity import blueprint, count_macs, count_parameters
from facezoo.models.create import create_model
from facezoo.models.description import describe
from facezoo.models.expert_model import ExpertModel
from facezoo.models.face_model import FaceModel
from facezoo.models.fingerprint import model_fingerprint, weights_fingerprint
from facezoo.models.hard_example_model import HardExampleModel
from facezoo.models.parts import (
    create_auxiliary_loss,
    create_backbone,
    create_head,
    list_parts,
)
from facezoo.models.telemetry import CollapseAlarm, TripletTelemetry

__all__ = [
    "ClassAccuracy",
    "CollapseAlarm",
    "ExpertModel",
    "FaceModel",
    "HardExampleModel",
    "TripletTelemetry",
    "blueprint",
    "count_macs",
    "count_parameters",
    "create_auxiliary_loss",
    "create_backbone",
    "create_head",
    "create_model",
    "describe",
    "list_parts",
    "model_fingerprint",
    "weights_fingerprint",
]
