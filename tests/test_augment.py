"""Augmentation changes what it says, within the range of pixels, and keeps the border."""

import numpy as np
import pytest
from keras import ops

from facezoo.data.augment import Augmentation
from facezoo.data.draws import NUM_DRAWS, augmentation_draws
from tests.shards import noise

STRENGTHS = ("rotation", "zoom", "shift", "brightness", "contrast", "erase")
IMAGES = np.stack([noise(number) for number in range(4)])


def draws(**columns):
    """One row of draws that change nothing, but for some columns, given as `d<column>`."""
    draw = np.zeros((1, NUM_DRAWS), np.float32)
    for name, value in columns.items():
        draw[0, int(name[1:])] = value
    return draw


def change(image, draw, **strengths):
    settings = {"flip": False, **strengths}
    changed = Augmentation(**settings)(ops.convert_to_tensor(image), ops.convert_to_tensor(draw))
    return ops.convert_to_numpy(changed)


def test_no_augmentation_changes_nothing():
    draw = augmentation_draws(0, 0, 4)
    np.testing.assert_array_equal(change(IMAGES, draw), IMAGES)
    # The map that is the same for all of them goes through the warp.
    np.testing.assert_array_equal(change(IMAGES, np.abs(draw), flip=True), IMAGES)


def test_flip_mirrors_about_half_of_the_images():
    image = np.repeat(noise(0)[None], 200, axis=0)
    changed = change(image, augmentation_draws(1, 0, 200), flip=True)
    mirrored = (changed == image[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((changed == image).all(axis=(1, 2, 3)) ^ mirrored).all()
    assert 70 < mirrored.sum() < 130


@pytest.mark.parametrize("name", STRENGTHS)
def test_each_change_changes_within_the_pixel_range(name):
    changed = change(IMAGES, np.full((4, NUM_DRAWS), 0.7, np.float32), **{name: 0.3})
    assert (np.abs(changed - IMAGES).max(axis=(1, 2, 3)) > 1).all()
    assert changed.min() >= 0 and changed.max() <= 255 and changed.dtype == np.float32


@pytest.mark.parametrize("flip", [False, True])
def test_the_warp_is_the_documented_map(flip):
    rng = np.random.default_rng(3)
    draw = rng.uniform(-1, 1, (4, NUM_DRAWS)).astype(np.float32)
    strengths = {"flip": flip, "rotation": 0.5, "zoom": 0.3, "shift": 0.2}
    changed = change(IMAGES, draw, **strengths)
    for image, one, result in zip(IMAGES, draw.astype(float), changed, strict=True):
        np.testing.assert_allclose(result, warped(image, one, **strengths), atol=1e-3)


def warped(image, draw, flip, rotation, zoom, shift):
    """The map pixel by pixel in float64; outside, the nearest pixel of the border."""
    height, width, _ = image.shape
    angle, size = rotation * draw[1], 1 + zoom * draw[2]
    result = np.empty(image.shape)
    for row, column in np.ndindex(height, width):
        x, y = column - (width - 1) / 2, row - (height - 1) / 2
        x = -x if flip and draw[0] < 0 else x
        from_x = size * (np.cos(angle) * x - np.sin(angle) * y) + shift * width * draw[3]
        from_y = size * (np.sin(angle) * x + np.cos(angle) * y) + shift * height * draw[4]
        from_x = np.clip(from_x + (width - 1) / 2, 0, width - 1)
        from_y = np.clip(from_y + (height - 1) / 2, 0, height - 1)
        left, top = min(int(from_x), width - 2), min(int(from_y), height - 2)
        right, down = from_x - left, from_y - top
        four = image[top : top + 2, left : left + 2].astype(float)
        result[row, column] = np.einsum("i,j,ijc->c", [1 - down, down], [1 - right, right], four)
    return result


@pytest.mark.parametrize(("column", "axis"), [(3, 2), (4, 1)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_shift_repeats_the_border(column, axis, sign):
    image, size = IMAGES[:1], IMAGES.shape[axis]
    changed = change(image, draws(**{f"d{column}": sign}), shift=3 / size)
    places = np.clip(np.arange(size) + 3 * sign, 0, size - 1)
    np.testing.assert_allclose(changed, np.take(image, places, axis=axis), atol=1e-3)


def test_light_and_contrast_are_about_the_mean():
    image = np.full((1, 12, 10, 3), 100.0, np.float32)
    image[:, :6] = 140
    brighter = change(image, draws(d5=0.5), brightness=0.2)
    np.testing.assert_allclose(brighter, image + 0.5 * 0.2 * 255, atol=1e-3)
    flatter = change(image, draws(d6=-1), contrast=0.25)
    np.testing.assert_allclose(flatter, 120 + 0.75 * (image - 120), atol=1e-3)


def test_a_blank_is_a_rectangle_of_the_mean():
    image = IMAGES[:1].astype(np.float32)
    changed = change(image, draws(d7=-1, d8=1, d9=1, d10=1), erase=0.4)
    blank = (changed != image).all(axis=3)[0]
    np.testing.assert_allclose(changed[0][blank], image.mean(), rtol=1e-5)
    np.testing.assert_array_equal(changed[0][~blank], image[0][~blank])
    rows, columns = np.flatnonzero(blank.any(axis=1)), np.flatnonzero(blank.any(axis=0))
    assert rows.tolist() == [0, 1, 2] and columns.tolist() == [8, 9]
    assert blank.sum() == len(rows) * len(columns)


@pytest.mark.parametrize("name", STRENGTHS)
@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_impossible_augmentation_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be in .* Received: "):
        Augmentation(**{name: value})
