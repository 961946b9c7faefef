"""The forms a model can be written in, each with what runs it: Keras, TensorFlow, TFLite, ONNX."""

from facezoo.serving.formats.form import Embed, Form, TrainedModel
from facezoo.serving.formats.keras_form import KERAS, keras_embed
from facezoo.serving.formats.onnx_form import ONNX
from facezoo.serving.formats.saved_model_form import SAVED_MODEL, served_thresholds
from facezoo.serving.formats.tflite_form import TFLITE, TFLITE_INT8

FORMS = {form.name: form for form in (KERAS, SAVED_MODEL, TFLITE, TFLITE_INT8, ONNX)}

__all__ = [
    "FORMS",
    "KERAS",
    "SAVED_MODEL",
    "Embed",
    "Form",
    "TrainedModel",
    "keras_embed",
    "served_thresholds",
]
