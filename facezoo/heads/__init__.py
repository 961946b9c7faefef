"""The heads: each turns embeddings into logits while a loss is computed, and is dropped after."""

from facezoo.heads.adaface import AdaFace
from facezoo.heads.arcface import ArcFace
from facezoo.heads.combined_margin import CombinedMargin
from facezoo.heads.concat import ConcatHead
from facezoo.heads.cosface import CosFace
from facezoo.heads.curricularface import CurricularFace
from facezoo.heads.l2_softmax import L2Softmax
from facezoo.heads.magface import MagFace
from facezoo.heads.normface import NormFace
from facezoo.heads.partial_fc import PartialFC
from facezoo.heads.softmax import Softmax
from facezoo.heads.sphereface import SphereFace
from facezoo.heads.subcenter_arcface import SubCenterArcFace

__all__ = [
    "AdaFace",
    "ArcFace",
    "CombinedMargin",
    "ConcatHead",
    "CosFace",
    "CurricularFace",
    "L2Softmax",
    "MagFace",
    "NormFace",
    "PartialFC",
    "Softmax",
    "SphereFace",
    "SubCenterArcFace",
]
