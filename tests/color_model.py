"""A loaded model for tests of verbs: its embedding is a picture's mean colour, its norm how far."""

import numpy as np
from PIL import Image

from facezoo.cli.model_loading import LoadedModel
from facezoo.data.preprocessing import Preprocessing

RED, GREEN, BLUE = (250, 60, 60), (60, 250, 60), (60, 60, 250)


def embed(images):
    color = np.stack([image.reshape(-1, 3).mean(axis=0) for image in images]) - 127.5
    norm = np.linalg.norm(color, axis=1).astype(np.float32)
    return {"embedding": (color / norm[:, None]).astype(np.float32), "norm": norm}


def color_model(thresholds=None, crop_statistics=None):
    """The model; `thresholds` as an evaluation writes them, less what binds them."""
    preprocessing = Preprocessing(8, 8)
    if thresholds is not None:
        bound = {"model": "colors", "preprocessing": preprocessing.fingerprint()}
        thresholds = {"format": 2, "distance": "squared_l2", **bound, **thresholds}
    return LoadedModel(embed, "colors", preprocessing, thresholds, crop_statistics)


def save_color(path, color, change=0):
    """Writes a picture of one colour, and a little lighter or darker."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(np.full((6, 5, 3), color) + [0, change, -change], 0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(path, "PNG")
    return str(path)
