"""The embedding outputs: what each is made of, and which one a backbone gets."""

import keras
import numpy as np
import pytest

import facezoo
from facezoo.layers import EmbeddingOutput, image_input

SHAPE = (None, 3, 2, 5)
MAP = np.random.default_rng(0).normal(size=(4, 3, 2, 5)).astype(np.float32)
TINY = dict(facezoo.backbones.NN1.TINY)


def built(**arguments):
    output = EmbeddingOutput(embedding_dim=7, **arguments)
    output.build(SHAPE)
    return output


def shapes(output):
    return [tuple(weight.shape) for weight in output.trainable_weights]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [(5, 7), (7,)]),
        ({"pooling": "flatten"}, [(30, 7), (7,)]),
        ({"batch_norm": True}, [(5, 7), (7,), (7,)]),
        ({"batch_norm": "center"}, [(5, 7), (7,)]),
        ({"batch_norm": "fixed"}, [(5, 7), (7,), (7,)]),
        ({"pooling": "bn_flatten"}, [(5,), (5,), (30, 7), (7,), (7,), (7,)]),
        ({"pooling": "depthwise"}, [(3, 2, 5, 1), (5,), (5,), (5, 7), (7,), (7,)]),
        ({"pooling": "flatten", "hidden_units": [6]}, [(30, 6), (6,), (6, 7), (7,)]),
        ({"hidden_units": [6], "maxout": 2}, [(5, 12), (12,), (6, 7), (7,)]),
    ],
)
def test_layers_of_each_output(arguments, expected):
    output = built(**arguments)
    assert shapes(output) == expected
    answer = output(MAP)
    np.testing.assert_allclose(np.linalg.norm(answer["embedding"], axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("dim", [64, 128, 256, 512])
def test_published_lengths(dim):
    assert facezoo.create_model("nn1", dim, **TINY)(np.zeros((2, 18, 25, 3)))[
        "embedding"
    ].shape == (2, dim)


def test_flatten_keeps_the_order_of_the_map():
    output = built(pooling="flatten")
    features = MAP.reshape(4, -1) @ output.dense.kernel.numpy()
    np.testing.assert_allclose(output(MAP)["norm"], np.linalg.norm(features, axis=1), rtol=1e-5)


def test_average_pools_rows_and_columns():
    output = built()
    features = MAP.mean(axis=(1, 2)) @ output.dense.kernel.numpy()
    np.testing.assert_allclose(output(MAP)["norm"], np.linalg.norm(features, axis=1), rtol=1e-5)


def test_hidden_layers_are_not_linear():
    for maxout in (1, 2):
        output = built(hidden_units=(6,), maxout=maxout)
        there, back = (sign * output(sign * MAP)["embedding"] for sign in (1.0, -1.0))
        assert np.abs(there - back).max() > 1e-3


def test_dropout_works_in_training_only():
    output = built(pooling="flatten", dropout=0.5)
    np.testing.assert_array_equal(output(MAP)["norm"], output(MAP, training=False)["norm"])
    assert np.abs(output(MAP, training=True)["norm"] - output(MAP)["norm"]).max() > 1e-3


def test_statistics_follow_in_training():
    output = built(pooling="bn_flatten")
    before = [weight.numpy() for weight in output.non_trainable_weights]
    output(MAP, training=True)
    assert len(before) == 4
    for old, new in zip(before, output.non_trainable_weights, strict=True):
        assert np.abs(old - new.numpy()).max() > 1e-4


@pytest.mark.slow
def test_a_fixed_gamma_does_not_move():
    for batch_norm, moves in (("fixed", False), (True, True)):
        model = facezoo.create_model("nn1", 4, embedding={"batch_norm": batch_norm}, **TINY)
        model.compile(keras.optimizers.SGD(1.0), facezoo.TripletSemiHardLoss(0.5))
        image = np.random.default_rng(1).normal(size=(4, 18, 25, 3))
        model.train_on_batch(image, np.array([0, 0, 1, 1]))
        gamma, beta = model.embedding.bn.gamma.numpy(), model.embedding.bn.beta.numpy()
        assert np.any(beta != 0) and np.any(gamma != 1) == moves


def test_epsilon_reaches_every_batch_normalisation():
    output = built(pooling="depthwise", epsilon=1e-3)
    assert output.depthwise_bn.epsilon == output.bn.epsilon == 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embedding_dim": 0}, "embedding_dim must be at least 1"),
        ({"pooling": "max"}, "pooling must be one of"),
        ({"batch_norm": "gamma"}, "batch_norm must be one of"),
        ({"hidden_units": (4, 0)}, "hidden_units must be at least 1"),
        ({"maxout": 0}, "maxout must be at least 1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingOutput(**arguments)


def test_a_backbone_gets_what_it_was_published_with():
    published = facezoo.create_model("nn1", **TINY).embedding
    assert (published.pooling, published.hidden_units, published.maxout) == (
        "flatten",
        (4096, 4096),
        2,
    )
    longer = facezoo.create_model("nn1", embedding={"dropout": 0.1}, **TINY).embedding
    assert longer.hidden_units == (4096, 4096) and longer.dropout == 0.1


def test_another_pooling_leaves_the_published_output_behind():
    other = facezoo.create_model("nn1", 64, embedding={"pooling": "average"}, **TINY).embedding
    assert (other.hidden_units, other.maxout, other.embedding_dim) == ((), 1, 64)


@pytest.mark.parametrize("shape", [(18, 25, 1), (18, 25), (18, 25, 4)])
def test_images_that_are_not_rgb(shape):
    with pytest.raises(ValueError, match=r"\(height, width, 3\).*Received: \(18, 25"):
        image_input(shape, smallest=1)


@pytest.mark.parametrize("name", facezoo.list_parts("backbone"))
def test_an_image_too_small_for_the_network(name):
    with pytest.raises(ValueError, match=r"at least \d+ pixels a side.*Received: \(8, 200, 3\)"):
        facezoo.create_model(name, image_shape=(8, 200, 3))


@pytest.mark.parametrize("shape", [(2, 18, 25, 1), (2, 25, 18, 3), (18, 25, 3)])
def test_a_picture_of_another_shape(shape):
    model = facezoo.create_model("nn1", embedding={"hidden_units": [4]}, **TINY)
    with pytest.raises(ValueError, match=r"image must be float \[B, 18, 25, 3\].*Received: shape"):
        model(np.zeros(shape, np.float32))


def test_the_maxout_layer_comes_back_from_disk(tmp_path):
    model = facezoo.create_model("nn1", embedding={"hidden_units": [4]}, **TINY)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    image = np.random.default_rng(1).normal(size=(2, 18, 25, 3)).astype(np.float32)
    np.testing.assert_array_equal(model(image)["embedding"], again(image)["embedding"])
