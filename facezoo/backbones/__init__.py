"""The zoo's backbones: image to feature map."""

from facezoo.backbones.mobilefacenet import MobileFaceNet
from facezoo.backbones.nn2 import NN2

__all__ = ["NN2", "MobileFaceNet"]
