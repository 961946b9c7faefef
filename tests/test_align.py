"""Alignment: the best similarity, in closed form; the warp; what is no face."""

import doctest

import numpy as np
import pytest
import tensorflow as tf

from facezoo.data import align as module
from facezoo.data.align import align, arcface_template, similarity, warp
from tests.photographs import photograph

TEMPLATE = arcface_template(112, 112).numpy()
FACE = 0.5 * TEMPLATE + [10.0, 20.0]


def moved(points, degrees=0.0, scale=1.0, shift=(0.0, 0.0)):
    """Points turned clockwise (y runs down), scaled and shifted, float32."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = scale * np.array([[cosine, -sine], [sine, cosine]])
    return (points @ turn.T + shift).astype(np.float32)


def apply(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def unlike_any_turn():
    """Points that no turn brings nearer to the template: uncorrelated as complex numbers."""
    face = TEMPLATE @ [1, 1j] - np.mean(TEMPLATE @ [1, 1j])
    other = np.array([9.0, -9.0, 20.0, 3j, -3j])
    other = other - other.mean()
    other -= face * np.vdot(face, other) / np.vdot(face, face)
    return np.stack([other.real, other.imag], axis=1) + 50.0


def slow_warp(image, matrix, height, width):
    """Pixel by pixel, in float64, by the inverse of the matrix."""
    inverse = np.linalg.inv(np.vstack([matrix.astype(np.float64), [0, 0, 1]]))
    result = np.zeros((height, width, image.shape[2]))
    for row, column in np.ndindex(height, width):
        x, y, _ = inverse @ [column, row, 1]
        left, top = int(np.floor(x)), int(np.floor(y))
        for down, right in np.ndindex(2, 2):
            r, c = top + down, left + right
            if 0 <= r < image.shape[0] and 0 <= c < image.shape[1]:
                weight = (1 - abs(y - r)) * (1 - abs(x - c))
                result[row, column] += weight * image[r, c]
    return result


def test_the_template_is_that_of_arcface_in_every_size():
    assert TEMPLATE[2].tolist() == pytest.approx([56.0252, 71.7366])
    np.testing.assert_allclose(arcface_template(224, 224), 2 * TEMPLATE, rtol=1e-6)
    # The narrow crop of SphereFace and CosFace, and a wide one.
    np.testing.assert_allclose(arcface_template(112, 96), TEMPLATE - [8, 0], rtol=1e-6)
    np.testing.assert_allclose(arcface_template(112, 128), TEMPLATE + [8, 0], rtol=1e-6)


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -100])
def test_a_moved_template_is_brought_back(degrees):
    points = moved(TEMPLATE, degrees, 3.7, (200.0, -40.0))
    matrix = similarity(points[None], TEMPLATE)[0].numpy()
    np.testing.assert_allclose(apply(matrix, points), TEMPLATE, atol=1e-3)


def test_no_similarity_is_better():
    random = np.random.default_rng(0)
    points = (random.normal(size=(4, 5, 2)) * 30 + 100).astype(np.float32)
    for one, matrix in zip(points, similarity(points, TEMPLATE).numpy(), strict=True):
        # x' = p x - q y + s, y' = q x + p y + t, by NumPy's least squares.
        (x, y), ones, zeros = one.T.astype(np.float64), np.ones(5), np.zeros(5)
        system = np.block([[np.c_[x, -y, ones, zeros]], [np.c_[y, x, zeros, ones]]])
        p, q, s, t = np.linalg.lstsq(system, TEMPLATE.T.ravel(), rcond=None)[0]
        np.testing.assert_allclose(matrix, [[p, -q, s], [q, p, t]], atol=1e-3)


def test_a_mirrored_face_is_not_mirrored_back():
    mirrored = TEMPLATE * [-1, 1]
    matrix = similarity(mirrored[None].astype(np.float32), TEMPLATE)[0].numpy()
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize("degrees, scale", [(0, 1.0), (25, 0.4), (180, 1.3), (-70, 2.5)])
def test_the_warp_equals_the_formula(degrees, scale):
    image = photograph(1, 33, 41)
    points = moved(FACE, degrees, scale, (5.0, 3.0))
    matrix = similarity(points[None], arcface_template(20, 16))[0].numpy()
    found = warp(tf.constant(image), tf.constant(matrix), 20, 16)
    np.testing.assert_allclose(found, slow_warp(image, matrix, 20, 16), atol=0.02)


def test_a_picture_of_its_own_template_stays_as_it_is():
    image = photograph(2, 112, 112)
    found = align(tf.constant(image), tf.constant(TEMPLATE), 112, 112)
    np.testing.assert_allclose(found, image, atol=0.01)


def test_outside_is_black():
    image = np.full((10, 10, 3), 200, np.uint8)
    matrix = np.array([[1, 0, 5], [0, 1, 0]], np.float32)
    found = warp(tf.constant(image), tf.constant(matrix), 10, 20).numpy()
    assert found[0, :, 0].tolist() == [0] * 5 + [200] * 10 + [0] * 5
    far = np.array([[1, 0, 1e30], [0, 1, 0]], np.float32)
    assert not warp(tf.constant(image), tf.constant(far), 10, 20).numpy().any()


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), 100.1),
        FACE * 1e-3,
        np.where(np.arange(10).reshape(5, 2) == 3, np.nan, FACE),
        np.where(np.arange(10).reshape(5, 2) == 3, np.inf, FACE),
        FACE * 1e30,
        unlike_any_turn(),
    ],
    ids=["one point", "tiny", "nan", "infinite", "huge", "no face"],
)
def test_points_that_are_no_face(points):
    image = tf.constant(photograph(1))
    with pytest.raises(tf.errors.InvalidArgumentError, match="the landmarks are no face"):
        align(image, tf.constant(points.astype(np.float32)), 20, 16)


def test_examples():
    assert doctest.testmod(module, extraglobs={"tf": tf}).failed == 0
