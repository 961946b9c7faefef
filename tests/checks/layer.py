"""What every layer must do; its oracle says on which inputs (`SHAPES`) and arguments (`CASES`)."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.checks import assert_config_is_whole, oracle, precision

_BATCH = 3
_POLICIES = ("float16", "bfloat16", "float32", "float64")


def _layer(cls, **arguments):
    layer = cls(**{**cls.TINY, **arguments})
    layer.build(_alone_or_list([(None, *shape) for shape in oracle(cls).SHAPES]))
    return layer


def _alone_or_list(inputs):
    """A layer of one input takes it as it is."""
    return inputs if len(inputs) > 1 else inputs[0]


def _filled(layer):
    """The same layer with weights that a mistake cannot hide behind: none is 0 or 1."""
    for seed, weight in enumerate(layer.weights):
        weight.assign(np.random.default_rng(seed).uniform(0.2, 1.2, weight.shape))
        if weight.name in ("kernel", "bias"):
            weight.assign(weight - 0.7)
    return layer


def _inputs(cls, size=_BATCH, scale=2.0):
    rng = np.random.default_rng(7)
    return [scale * rng.normal(size=(size, *shape)) for shape in oracle(cls).SHAPES]


def _outputs(layer, inputs):
    """The layer's answers, one after the other."""
    tensors = [tf.cast(x, layer.compute_dtype) for x in inputs]
    return keras.tree.flatten(layer(_alone_or_list(tensors)))


def _gradients(layer, inputs, jit_compile=False):
    """Of the sum of all answers by each input and weight."""
    tensors = [tf.constant(x, layer.compute_dtype) for x in inputs]
    weights = [weight.value for weight in layer.trainable_weights]

    @tf.function(jit_compile=jit_compile)
    def compiled(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = _outputs(layer, tensors)
            total = tf.add_n([tf.reduce_sum(tf.cast(one, tf.float32)) for one in outputs])
        return tape.gradient(total, [*tensors, *weights])

    return [tf.cast(gradient, tf.float32).numpy() for gradient in compiled(*tensors)]


def _assert_finite(cls, inputs):
    """Answers and gradients; in float32 as XLA computes them: TensorFlow hides some 0 * inf."""
    for arguments in oracle(cls).CASES:
        for policy in _POLICIES:
            with precision(policy):
                layer = _layer(cls, **arguments)
            answers = [tf.cast(one, tf.float64) for one in _outputs(layer, inputs)]
            gradients = _gradients(layer, inputs, jit_compile=policy == "float32")
            for value in (*answers, *gradients):
                assert np.all(np.isfinite(value)), (policy, arguments)


def check_declares_source(cls):
    assert len(cls.SOURCE) > 10


def check_equals_oracle(cls):
    for arguments in oracle(cls).CASES:
        layer, inputs = _filled(_layer(cls, **arguments)), _inputs(cls)
        weights = {weight.path.partition("/")[2]: np.float64(weight) for weight in layer.weights}
        expected = keras.tree.flatten(oracle(cls).output(inputs, weights, layer.get_config()))
        for found, wanted in zip(_outputs(layer, inputs), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-6, err_msg=str(arguments))


def check_unknown_batch_size(cls):
    for arguments in oracle(cls).CASES:
        layer = _layer(cls, **arguments)
        symbols = [keras.Input(shape) for shape in oracle(cls).SHAPES]
        promised = keras.tree.flatten(layer(_alone_or_list(symbols)))
        for size in (1, _BATCH):
            outputs = _outputs(layer, _inputs(cls, size))
            for found, promise in zip(outputs, promised, strict=True):
                assert tuple(found.shape) == (size, *promise.shape[1:]), arguments
                assert promise.shape[0] is None, arguments


def check_config_round_trip(cls):
    for arguments in oracle(cls).CASES:
        layer = cls(**{**cls.TINY, **arguments})
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert type(again) is cls
        assert again.get_config() == layer.get_config()
        assert_config_is_whole(cls, layer.get_config())


def check_saved_and_loaded_inside_a_functional_model(cls):
    """In safe mode, which is what `load_model` does unless told otherwise."""
    inputs = [np.float32(x) for x in _inputs(cls)]
    for arguments in oracle(cls).CASES:
        symbols = [keras.Input(shape) for shape in oracle(cls).SHAPES]
        layer = _filled(_layer(cls, **arguments))
        model = keras.Model(symbols, layer(_alone_or_list(symbols)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            again = keras.models.load_model(path, safe_mode=True)
        keras.tree.map_structure(np.testing.assert_array_equal, again(inputs), model(inputs))


def check_finite_in_low_precision(cls):
    """And near to float32, at values whose squares float16 cannot hold."""
    inputs = _inputs(cls, scale=150.0)
    for arguments in oracle(cls).CASES:
        expected = _outputs(_filled(_layer(cls, **arguments)), inputs)
        for policy in ("float16", "bfloat16"):
            with precision(policy):
                layer = _filled(_layer(cls, **arguments))
            for found, wanted in zip(_outputs(layer, inputs), expected, strict=True):
                assert found.dtype == layer.compute_dtype
                largest = np.max(np.abs(wanted))
                found = tf.cast(found, tf.float32)
                np.testing.assert_allclose(found, wanted, atol=0.05 * largest, err_msg=policy)
            for gradient in _gradients(layer, inputs):
                assert np.all(np.isfinite(gradient)), (policy, arguments)


def check_finite_at_zero(cls):
    _assert_finite(cls, [np.zeros_like(x) for x in _inputs(cls)])


def check_finite_at_equal_values(cls):
    _assert_finite(cls, [np.ones_like(x) for x in _inputs(cls)])


def check_finite_at_opposite_values(cls):
    """Every other image is the negative of the one before."""
    sign = [(-1.0) ** np.arange(_BATCH).reshape(-1, *(1,) * (x.ndim - 1)) for x in _inputs(cls)]
    _assert_finite(cls, [s * np.ones_like(x) for s, x in zip(sign, _inputs(cls), strict=True)])


def check_finite_for_an_image_of_norm_1e4(cls):
    inputs = [x[:1] for x in _inputs(cls)]
    _assert_finite(cls, [1e4 * x / np.linalg.norm(x) for x in inputs])


def check_every_input_and_weight_moves_the_output(cls):
    for arguments in oracle(cls).CASES:
        layer = _filled(_layer(cls, **arguments))
        for gradient in _gradients(layer, _inputs(cls)):
            assert np.any(np.abs(gradient) > 1e-6), arguments
