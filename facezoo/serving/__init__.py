"""A trained model at the door: SavedModel with named signatures, warm-up requests, a reader."""

from facezoo.serving.saved_model import EXTRA_DIR, export_saved_model, store_thresholds
from facezoo.serving.served_model import ServedModel, load
from facezoo.serving.warmup import Request, make_requests, write_warmup

__all__ = [
    "EXTRA_DIR",
    "Request",
    "ServedModel",
    "export_saved_model",
    "load",
    "make_requests",
    "store_thresholds",
    "write_warmup",
]
