"""Weights of other implementations to models: one file per layout, one per kind of file."""

from facezoo.conversion.convert import convert_weights, fill, recognize
from facezoo.conversion.davidsandberg import Davidsandberg
from facezoo.conversion.facenet_pytorch import FacenetPytorch
from facezoo.conversion.insightface import Insightface
from facezoo.conversion.keras_facenet import KerasFacenet
from facezoo.conversion.layout import Layout
from facezoo.conversion.mobilefacenet_mxnet import MobileFaceNetMXNet
from facezoo.conversion.mobilefacenet_pytorch import MobileFaceNetPytorch

__all__ = [
    "Davidsandberg",
    "FacenetPytorch",
    "Insightface",
    "KerasFacenet",
    "Layout",
    "MobileFaceNetMXNet",
    "MobileFaceNetPytorch",
    "convert_weights",
    "fill",
    "recognize",
]
