"""Baselines: unit vectors that see what they should see, and defined answers for flat pictures."""

import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from facezoo.evaluation.baselines import BASELINES, hog_embedding, lbp_embedding
from tests.photographs import photograph

_LENGTHS = {"pixels": 32 * 32 * 3, "hog": 7 * 7 * 2 * 2 * 9, "lbp": 8 * 8 * 59}


def pictures(num_images=3, height=70, width=64):
    """Smooth pictures with grain, float32 [B, H, W, 3]."""
    generator = np.random.default_rng(0)
    smooth = np.stack([photograph(seed, height, width) for seed in range(num_images)])
    return (smooth + generator.normal(0, 10, smooth.shape)).clip(0, 255).astype(np.float32)


def stripes(horizontal):
    """Waves of grey in one direction, 64 x 64."""
    wave = np.broadcast_to(128 + 100 * np.sin(np.arange(64) * 0.7), (64, 64))
    grey = wave.T if horizontal else wave
    return np.repeat(grey[None, :, :, None], 3, axis=-1).astype(np.float32)


def distance(one, other):
    return float(np.sum((one.astype(np.float64) - other) ** 2))


@pytest.mark.parametrize("key", BASELINES)
def test_embeddings_are_unit_vectors_of_known_length_one_by_one(key):
    image = pictures()
    embedding = BASELINES[key].embed(image)
    assert (embedding.dtype, embedding.shape) == (np.float32, (3, _LENGTHS[key]))
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1.0, atol=1e-6)
    alone = np.concatenate([BASELINES[key].embed(image[i : i + 1]) for i in range(3)])
    np.testing.assert_array_equal(embedding, alone)


@pytest.mark.parametrize("key", BASELINES)
def test_a_picture_is_nearer_to_its_blurred_self_than_to_others(key):
    image = pictures(2, 64, 64)
    blurred = (image + np.roll(image, 1, axis=2)) / 2
    one, other = BASELINES[key].embed(image)
    assert distance(one, BASELINES[key].embed(blurred)[0]) < distance(one, other)


@pytest.mark.parametrize("key", BASELINES)
@pytest.mark.parametrize("shape", [(64, 64), (20, 18), (1, 1), (3, 200)])
@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (200, 30, 99.5)])
def test_one_colour_gives_zeros_or_the_same_unit_vector(key, shape, color):
    flat = np.broadcast_to(np.array(color, np.float32), (1, *shape, 3))
    embedding = BASELINES[key].embed(flat)
    if key == "pixels" and len(set(color)) > 1:
        # Its mean goes over the channels too, so that only grey vanishes.
        assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-6)
    elif key == "lbp":
        assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-6)
        np.testing.assert_array_equal(embedding, lbp_embedding(np.zeros((1, 64, 64, 3))))
    else:
        assert not embedding.any()


@pytest.mark.parametrize("embed", [hog_embedding, lbp_embedding])
def test_brightness_does_not_matter(embed):
    image = np.rint(pictures(1, 64, 64) / 2)
    assert distance(embed(image)[0], embed(image + 60)[0]) < 1e-3


def test_hog_sees_the_direction_of_edges():
    embedding = hog_embedding(stripes(True))[0].reshape(7, 7, 2, 2, 9)
    turned = hog_embedding(stripes(False))[0].reshape(7, 7, 2, 2, 9)
    # Directions of 20 degrees each; brightness changes downwards, or to the right.
    assert embedding.sum(axis=(0, 1, 2, 3)).argmax() == 4
    assert turned.sum(axis=(0, 1, 2, 3)).argmax() in (0, 8)


def test_lbp_distance_is_the_mean_over_cells_of_twice_the_squared_hellinger_distance():
    image = np.rint(pictures(2, 64, 64))
    embedding = lbp_embedding(image)
    grey = np.rint(image @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)
    wide = np.pad(grey, ((0, 0), (2, 2), (2, 2)), mode="edge")
    found = (local_binary_pattern(one, 8, 2, "nri_uniform") for one in wide)
    pattern = [one[2:-2, 2:-2].astype(int) for one in found]
    coefficients = []
    for row in range(0, 64, 8):
        for column in range(0, 64, 8):
            cells = [one[row : row + 8, column : column + 8].ravel() for one in pattern]
            shares = [np.bincount(cell, minlength=59) / 64 for cell in cells]
            coefficients.append(np.sqrt(shares[0] * shares[1]).sum())
    assert distance(*embedding) == pytest.approx(np.mean(2 - 2 * np.array(coefficients)), abs=1e-5)


@pytest.mark.parametrize("embed", [hog_embedding, lbp_embedding])
def test_no_image_gives_no_embedding_and_bad_images_raise(embed):
    assert embed(np.zeros((0, 64, 64, 3))).shape[0] == 0
    for shape in [(64, 64, 3), (1, 64, 64), (1, 64, 64, 1), (1, 3, 64, 64), (1, 0, 64, 3)]:
        with pytest.raises(ValueError, match=r"must be \[B, H, W, 3\]"):
            embed(np.zeros(shape))
    with pytest.raises(ValueError, match="finite"):
        embed(np.full((1, 64, 64, 3), np.nan))
