"""Published benchmarks as pairs with a known truth: read, checked, kept in one file format."""

from facezoo.protocols.file import load, save
from facezoo.protocols.ijb import read_ijb
from facezoo.protocols.image_pairs import image_pairs
from facezoo.protocols.images import ImageFolder, ImageSource, PackImages
from facezoo.protocols.lfw import read_lfw
from facezoo.protocols.pack import read_pack
from facezoo.protocols.pairs_csv import read_pairs_csv
from facezoo.protocols.protocol import (
    MEAN_EMBEDDING,
    MEAN_SIMILARITY,
    MEDIA_MEAN,
    SET_RULES,
    SINGLE,
    Protocol,
)
from facezoo.protocols.reading import KINDS, open_images, read
from facezoo.protocols.ytf import read_ytf

__all__ = [
    "KINDS",
    "MEAN_EMBEDDING",
    "MEAN_SIMILARITY",
    "MEDIA_MEAN",
    "SET_RULES",
    "SINGLE",
    "ImageFolder",
    "ImageSource",
    "PackImages",
    "Protocol",
    "image_pairs",
    "load",
    "open_images",
    "read",
    "read_ijb",
    "read_lfw",
    "read_pack",
    "read_pairs_csv",
    "read_ytf",
    "save",
]
