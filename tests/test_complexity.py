"""Parameters and multiply-adds: by hand, for the whole zoo, and without weights in memory."""

import gc
import weakref

import keras
import numpy as np
import pytest

import facezoo
from facezoo import registry
from facezoo.contracts import Backbone
from facezoo.models import blueprint, count_macs, count_parameters
from tests.checks import golden
from tests.checks.backbone import variant_blueprint


class Toy(Backbone):
    """A convolution to 4 x 3 positions and a depthwise one to 2 x 1, with 4 channels."""

    image_shape = (7, 5, 3)

    def __init__(self):
        image = keras.Input(self.image_shape)
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(image)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.PReLU(shared_axes=[1, 2])(x)
        x = keras.layers.DepthwiseConv2D(3, use_bias=False)(x)
        super().__init__(inputs=image, outputs=keras.layers.ReLU()(x), name="toy")


CONVOLUTIONS = {"macs": 12 * 9 * 3 * 4 + 2 * 9 * 4, "parameters": (108 + 4) + 2 * 4 + 4 + 36}
BY_HAND = [
    ({"pooling": "average"}, 4 * 5, 4 * 5 + 5),
    ({"pooling": "flatten"}, 8 * 5, 8 * 5 + 5),
    ({"pooling": "bn_flatten"}, 8 * 5, 2 * 4 + 8 * 5 + 5 + 2 * 5),
    ({"pooling": "depthwise"}, 8 + 4 * 5, 8 + 2 * 4 + 4 * 5 + 2 * 5),
    ({"hidden_units": (6,), "maxout": 2}, 4 * 12 + 6 * 5, 4 * 12 + 12 + 6 * 5 + 5),
]
MACS = {case["variant"]: case["macs"] for case in golden("macs")["cases"]}


@pytest.mark.parametrize(("embedding", "macs", "parameters"), BY_HAND)
def test_a_small_model_counted_by_hand(embedding, macs, parameters):
    model = facezoo.create_model(Toy(), 5, embedding=embedding)
    assert count_macs(model) == CONVOLUTIONS["macs"] + macs
    assert count_parameters(model) == CONVOLUTIONS["parameters"] + parameters


def test_neither_head_nor_moving_averages_nor_frozen_weights_are_counted():
    plain = facezoo.create_model(Toy(), 5)
    head = facezoo.create_head("normface", num_classes=7)
    with_head = facezoo.create_model(Toy(), 5, head=head)
    assert count_parameters(with_head) == count_parameters(plain)
    assert count_macs(with_head) == count_macs(plain)
    plain.backbone.trainable = False
    assert count_parameters(plain) == 4 * 5 + 5


def test_macs_are_known_of_every_variant():
    assert sorted(MACS) == registry.names("backbone"), "tests/golden/macs.json"


@pytest.mark.parametrize("variant", MACS)
def test_macs_of_the_zoo(variant):
    # Every published figure is rounded, to three digits or more.
    assert count_macs(variant_blueprint(variant)) == pytest.approx(MACS[variant], rel=1e-3)


class TestBlueprint:
    @staticmethod
    def build(initializer):
        layer = keras.layers.Dense(4, kernel_initializer=initializer)
        layer.build((None, 3))
        return layer

    def test_no_weight_gets_a_value(self):
        calls = []

        def initializer(shape, dtype):
            calls.append(shape)
            return keras.ops.ones(shape, dtype)

        layer = blueprint(self.build, initializer)
        assert layer.kernel.shape == (3, 4) and calls == []
        assert self.build(initializer).kernel.shape == (3, 4) and calls == [(3, 4)]

    def test_keras_does_not_hold_on_to_it(self):
        layer = blueprint(self.build, "zeros")
        kernel = weakref.ref(layer.kernel)
        del layer
        gc.collect()
        assert kernel() is None

    def test_the_next_scope_does_not_fill_it(self):
        calls = []
        layer = blueprint(self.build, lambda shape, dtype: calls.append(shape))
        with keras.StatelessScope():
            pass
        assert layer.built and calls == []

    def test_models_made_afterwards_work(self):
        blueprint(Toy)
        model = facezoo.create_model(Toy(), 5)
        embedding = model(np.ones((2, 7, 5, 3), "float32"))["embedding"]
        np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1.0, atol=1e-5)

    def test_errors_come_through(self):
        with pytest.raises(ValueError, match="Did you mean 'nn4'"):
            blueprint(facezoo.create_model, "nn5")
