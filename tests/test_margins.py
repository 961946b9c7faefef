"""What margins do to a cosine, beside the angles themselves in float64."""

import numpy as np
import pytest
import tensorflow as tf

from facezoo import margins

THETA = np.linspace(0.0, np.pi, 1001)
COSINE = np.cos(THETA).astype("float32")


def gradient(function, cosine):
    cosine = tf.constant(cosine, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(cosine)
        value = function(cosine)
    return tape.gradient(value, cosine).numpy()


@pytest.mark.parametrize("angle", [-0.4, 0.0, 0.5, np.pi / 2])
def test_cos_of_sum(angle):
    np.testing.assert_allclose(
        margins.cos_of_sum(COSINE, angle), np.cos(THETA + angle), rtol=0, atol=5e-4
    )
    inside = slice(50, -50)
    np.testing.assert_allclose(
        margins.cos_of_sum(COSINE[inside], angle), np.cos(THETA + angle)[inside], atol=2e-6
    )


def test_gradient_of_cos_of_sum_is_the_ratio_of_the_sines():
    theta = THETA[50:-50]
    found = gradient(lambda cosine: margins.cos_of_sum(cosine, 0.5), np.cos(theta))
    np.testing.assert_allclose(found, np.sin(theta + 0.5) / np.sin(theta), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("beyond_pi", ["linear", "monotone"])
@pytest.mark.parametrize("margin", [0.1, 0.5, np.pi / 2])
def test_a_margin_leaves_the_order_of_the_angles(margin, beyond_pi):
    assert np.all(np.diff(margins.add_angle(COSINE, margin, beyond_pi)) <= 1e-6)


@pytest.mark.parametrize("beyond_pi", margins.BEYOND_PI)
def test_beyond_pi(beyond_pi):
    margin, theta = 0.5, np.array([0.5, 2.0, 3.0])
    expected = {
        "linear": np.cos(3.0) - margin * np.sin(margin),
        "monotone": -2.0 - np.cos(3.5),
        "easy": np.cos(3.0),
    }[beyond_pi]
    found = margins.add_angle(np.float32(np.cos(theta)), margin, beyond_pi).numpy()
    assert found[2] == pytest.approx(expected, abs=1e-6)
    assert found[0] == pytest.approx(np.cos(1.0), abs=1e-6)
    assert found[1] == pytest.approx(np.cos(2.0 if beyond_pi == "easy" else 2.5), abs=1e-6)


def test_monotone_cos():
    angle = np.linspace(0.0, 20.0, 2001).astype("float32")
    found = margins.monotone_cos(angle).numpy()
    assert np.all(np.diff(found) <= 1e-5)
    np.testing.assert_allclose(found[:300], np.cos(angle[:300]), atol=1e-6)
    # Two whole turns further down for every two pi.
    turn = np.float32(2 * np.pi)
    np.testing.assert_allclose(margins.monotone_cos(angle + turn), found - 4.0, atol=1e-4)


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
def test_monotone_cos_of_a_multiple(factor):
    found = margins.monotone_cos_of_multiple(COSINE, factor).numpy()
    angle = factor * THETA
    k = np.minimum(np.floor(angle / np.pi), factor - 1)
    np.testing.assert_allclose(found, (-1) ** k * np.cos(angle) - 2 * k, atol=2e-5)
    # At pi, k stays below the factor.
    assert found[-1] == pytest.approx(1 - 2 * factor)
    ends = gradient(lambda cosine: margins.monotone_cos_of_multiple(cosine, factor), [1.0, -1.0])
    np.testing.assert_allclose(ends, factor**2, rtol=1e-5)


def test_gradients_are_finite_at_both_ends():
    for function in (
        margins.sine,
        lambda cosine: margins.cos_of_sum(cosine, 0.5),
        *(lambda cosine, b=b: margins.add_angle(cosine, 0.5, b) for b in margins.BEYOND_PI),
    ):
        assert np.all(np.isfinite(gradient(function, [1.0, -1.0])))
