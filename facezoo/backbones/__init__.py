"""The zoo's backbones: image to feature map."""

from facezoo.backbones.inception_resnet_v1 import InceptionResNetV1
from facezoo.backbones.inception_resnet_v2 import InceptionResNetV2
from facezoo.backbones.iresnet import IResNet
from facezoo.backbones.mobilefacenet import MobileFaceNet
from facezoo.backbones.nn1 import NN1
from facezoo.backbones.nn2 import NN2

__all__ = ["NN1", "NN2", "IResNet", "InceptionResNetV1", "InceptionResNetV2", "MobileFaceNet"]
