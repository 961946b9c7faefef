"""What every backbone must do, whatever it is made of; `cls.TINY` is what is built."""

import functools
import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import facezoo
from facezoo.models import blueprint
from tests.checks import assert_config_is_whole, file_name, golden, precision


def _noise(shape, seed):
    """Numbers in [-1, 1] that look random and are the same with any library."""
    return np.sin(0.37 * np.arange(np.prod(shape)) ** 2 + seed).reshape(shape)


def _tiny(cls):
    """The smallest instance, with weights that no random generator chose."""
    backbone = cls(**cls.TINY)
    for seed, weight in enumerate(backbone.weights):
        is_kernel = "kernel" in weight.name
        scale = np.sqrt(4.0 / np.prod(weight.shape[:-1])) if is_kernel else 0.1
        start = 0.0 if is_kernel else weight.value.numpy()
        weight.assign(start + scale * _noise(weight.shape, seed))
    return backbone


def _image(backbone, size=3):
    return _noise((size, *backbone.input_shape[1:]), seed=0).astype("float32")


def _gradients(backbone, training):
    image = _image(backbone)
    with tf.GradientTape() as tape:
        features = backbone(image, training=training)
        direction = np.cos(np.arange(np.prod(features.shape))).reshape(features.shape)
        loss = keras.ops.mean(keras.ops.cast(features, "float32") * direction)
    weights = backbone.trainable_weights
    return zip(weights, tape.gradient(loss, [weight.value for weight in weights]), strict=True)


def variant_blueprint(variant, embedding=None, **overrides):
    """A published model without weights, built once for all tests."""
    # Text, because the cache needs something hashable.
    return _blueprint(variant, json.dumps(embedding or {}), json.dumps(overrides))


@functools.cache
def _blueprint(variant, embedding, overrides):
    embedding, overrides = json.loads(embedding), json.loads(overrides)
    return blueprint(facezoo.create_model, variant, embedding=embedding, **overrides)


def _variants(cls):
    table = golden("parameters")
    cases = [case for case in table["cases"] if case["variant"] in cls.VARIANTS]
    missing = set(cls.VARIANTS) - {case["variant"] for case in cases}
    assert not missing, f"tests/golden/parameters.json lacks {sorted(missing)}"
    for case in cases:
        yield case, variant_blueprint(case["variant"], case.get("embedding"), **case["overrides"])


def check_declares_source(cls):
    assert len(cls.SOURCE) > 10


def check_number_of_parameters_of_each_variant(cls):
    for case, model in _variants(cls):
        counted = sum(np.prod(weight.shape) for weight in model.trainable_weights)
        assert counted == case["trainable"], case


def check_feature_map_of_each_variant(cls):
    for case, model in _variants(cls):
        assert list(model.backbone.output_shape[1:]) == case["feature_map"], case


def check_output_shape(cls):
    backbone = _tiny(cls)
    for size in (1, 3):
        features = backbone(_image(backbone, size), training=False)
        assert tuple(features.shape) == (size, *backbone.output_shape[1:])


def check_unknown_batch_size(cls):
    assert _tiny(cls).input_shape[0] is None


def check_every_weight_moves_the_output(cls):
    """Not in training: there, batch normalisation cancels a bias that comes just before it."""
    for weight, gradient in _gradients(_tiny(cls), training=False):
        assert np.any(np.abs(gradient) > 1e-6), weight.path


def check_finite_gradients_in_training(cls):
    for weight, gradient in _gradients(_tiny(cls), training=True):
        assert np.all(np.isfinite(gradient)), weight.path


def check_image_independent_of_its_neighbours(cls):
    backbone = _tiny(cls)
    image = _image(backbone)
    together = backbone(image, training=False)
    for index in range(len(image)):
        alone = backbone(image[index : index + 1], training=False)
        np.testing.assert_allclose(alone[0], together[index], rtol=1e-4, atol=1e-5)


def check_config_round_trip(cls):
    backbone = _tiny(cls)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(backbone))
    assert again.get_config() == backbone.get_config()
    assert_config_is_whole(cls, backbone.get_config())


def check_saved_and_loaded(cls):
    backbone = _tiny(cls)
    image = _image(backbone)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "backbone.keras"
        backbone.save(path)
        again = keras.models.load_model(path)
    np.testing.assert_array_equal(again(image, training=False), backbone(image, training=False))


def check_finite_in_mixed_bfloat16(cls):
    with precision("mixed_bfloat16"):
        backbone = _tiny(cls)
        assert np.all(np.isfinite(tf.cast(backbone(_image(backbone)), tf.float32)))
        for weight, gradient in _gradients(backbone, training=True):
            assert np.all(np.isfinite(gradient)), weight.path


def check_pinned_output(cls):
    """The numbers that the TINY instance gave when its definition was last changed on purpose."""
    backbone = _tiny(cls)
    # Ten times the usual range, so that local response normalisation leaves a mark.
    features = np.ravel(backbone(10.0 * _image(backbone), training=False))
    found = features[np.linspace(0, len(features) - 1, 8).astype(int)]
    pinned = golden("outputs").get(file_name(cls))
    assert pinned, f"Add to tests/golden/outputs.json: {np.round(np.float64(found), 6).tolist()}"
    np.testing.assert_allclose(found, pinned, rtol=1e-4, atol=1e-4)
