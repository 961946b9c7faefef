"""Pictures whose colours tell their people apart, more or less, and a model to embed them."""

import keras
import numpy as np
from PIL import Image

import facezoo
from facezoo.backbones import MobileFaceNet


def draw_color(rng):
    """Returns the colour of a person, RGB."""
    return rng.uniform(40, 215, 3)


def save_picture(path, rng, color, spread):
    """Writes 16 x 16 noisy pixels around a person's colour; pictures differ by the spread."""
    pixels = color + rng.normal(0, 12, (16, 16, 3)) + rng.normal(0, spread, 3)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def save_tiny_preset(folder):
    """Writes the preset of an untrained network that answers to colours."""
    keras.utils.set_random_seed(1)
    backbone = MobileFaceNet(**MobileFaceNet.TINY, name="tiny")
    facezoo.create_model(backbone, embedding_dim=8).save_preset(folder)
    return folder
