"""Ways to spoil a picture: each does what its unit says, and no more."""

import numpy as np
import pytest

from facezoo.evaluation.perturbations import SWEEPS, blur, recompress, resample, rotate


def _picture(height=48, width=40):
    """Smooth colours with an edge."""
    row, column = np.mgrid[:height, :width]
    channels = (row * 4, column * 5, 128 + 100 * ((row + column) % 24 < 12))
    return np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)


def _error(one, other):
    return np.abs(one.astype(float) - other.astype(float)).mean()


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.name)
def test_pictures_stay_pictures_and_the_given_one_stays_as_it_is(sweep):
    picture = _picture()
    for value in sweep.values:
        before = picture.copy()
        spoiled = sweep.apply(picture, value)
        assert spoiled.dtype == np.uint8
        assert spoiled.ndim == 3 and spoiled.shape[2] == 3
        assert sweep.apply is resample or spoiled.shape == picture.shape
        np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("apply, values", [(recompress, (90, 50, 10)), (blur, (1, 3, 8))])
def test_stronger_is_worse(apply, values):
    picture = _picture()
    errors = [_error(apply(picture, value), picture) for value in values]
    assert 0 < errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("num_pixels", [480, 1_600, 65_536])
def test_resampling_keeps_proportions_and_gives_the_pixels(num_pixels):
    height, width, _ = resample(_picture(), num_pixels).shape
    assert height * width == pytest.approx(num_pixels, rel=0.05)
    assert height / width == pytest.approx(48 / 40, rel=0.05)


def test_blurring_is_relative_to_the_shorter_side():
    stripe = np.zeros((200, 100, 3), np.uint8)
    stripe[:, 50:] = 255
    spread = blur(stripe, 2.0)[100, :, 0].astype(float)
    # The derivative of a blurred edge is the bell itself: its standard deviation is 2 pixels.
    bell = np.diff(spread)
    place = np.arange(len(bell))
    mean = np.average(place, weights=bell)
    assert np.average((place - mean) ** 2, weights=bell) ** 0.5 == pytest.approx(2.0, abs=0.15)


def test_blurring_does_not_mix_colours():
    red = np.zeros((20, 20, 3), np.uint8)
    red[5:15, 5:15, 0] = 200
    assert blur(red, 5.0)[..., 1:].max() == 0


def test_a_quarter_turn_is_counterclockwise():
    picture = _picture(40, 40)
    np.testing.assert_array_equal(rotate(picture, 90), np.rot90(picture))


def test_a_small_turn_leaves_no_black_corners():
    white = np.full((40, 32, 3), 255, np.uint8)
    assert rotate(white, 30).min() == 255


def test_no_turn_changes_nothing():
    np.testing.assert_array_equal(rotate(_picture(), 0), _picture())
