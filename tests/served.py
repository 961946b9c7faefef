"""A small model with thresholds and photographs of two sizes, for what serves it."""

import functools

import keras
import tensorflow as tf

import facezoo
from facezoo import serving
from facezoo.backbones import MobileFaceNet
from facezoo.data.decode import decode_and_resize
from facezoo.models import model_fingerprint
from tests.photographs import encoded, photograph

SIGNATURES = {
    "serving_default",
    "embed_bytes",
    "embed_flip",
    "embed_landmarks",
    "embed_128",
    "verify_pair",
    "embed_image",
    "embed",
    "info",
}
DIM = 6
THRESHOLD = 1.0


def make_model(standardization="fixed"):
    """Always the same weights."""
    keras.utils.set_random_seed(0)
    backbone = MobileFaceNet(**MobileFaceNet.TINY, name="tiny")
    height, width, _ = backbone.image_shape
    preprocessing = facezoo.Preprocessing(height, width, standardization)
    return facezoo.create_model(backbone, embedding_dim=DIM, preprocessing=preprocessing)


def make_thresholds(model, threshold=THRESHOLD):
    """A table that is bound to the model."""
    return {
        "format": 2,
        "model": model_fingerprint(model),
        "preprocessing": model.preprocessing.fingerprint(),
        "distance": "squared_l2",
        "chosen_on": "made-up people",
        "default": "accuracy",
        "operating_points": [{"name": "accuracy", "threshold": threshold}],
        "calibration": {"intercept": 4.0, "slope": -4.0, "prior": 0.5},
    }


def make_photographs():
    """Two JPEGs and a PNG, of two sizes, none of which is the network's."""
    jpegs = [encoded(photograph(seed, 31, 22), "JPEG") for seed in (1, 2)]
    return [*jpegs, encoded(photograph(3, 20, 30), "PNG")]


def prepare(model, photographs):
    """The photographs as the network takes them, by the functions of training."""
    pixels = tf.stack([decode_and_resize(one, model.preprocessing) for one in photographs])
    return model.preprocessing.standardize(pixels).numpy()


def export(folder, model=None):
    """Writes the model with thresholds and warm-up requests; returns the requests."""
    model = model or make_model()
    photographs, thresholds = make_photographs(), make_thresholds(model)
    serving.export_saved_model(model, folder, thresholds=thresholds)
    image = prepare(model, photographs)
    requests = serving.make_requests(model, photographs, image, thresholds)
    serving.write_warmup(folder, requests)
    return requests


def exported(tmp_path_factory):
    """Requests and folder of an export that all tests of a session share; nobody changes it."""
    return _exported(tmp_path_factory.getbasetemp() / "served" / "1")


@functools.cache
def _exported(folder):
    return export(folder), folder
