"""Made-up faces: the same again, any one alone, people who differ more than their pictures."""

import dataclasses

import numpy as np
import pytest

from facezoo import metrics
from facezoo.data.face_painting import Canvas, Oval
from facezoo.data.images import decode_rgb
from facezoo.data.sources import list_input
from facezoo.data.synthetic import SyntheticFaces

POSE = {"shift_x": 0.0, "shift_y": 0.0, "size": 0.5, "roll": 0.0, "yaw": 0.0, "pitch": 0.0}


@pytest.fixture(scope="module")
def faces():
    return SyntheticFaces(num_people=6, images_per_person=4, height=48, width=40, seed=3)


def painted(oval, soft=0.0, **pose):
    """Where a white oval lies on a black picture, float [40, 40]."""
    canvas = Canvas(40, 40, {**POSE, **pose})
    canvas.paint(oval, np.ones(3), soft=soft)
    return canvas.image[..., 0]


def middle(mask):
    """Mean row and column of what is painted."""
    return tuple(np.average(axis, weights=mask) + 0.5 for axis in np.indices(mask.shape))


def test_a_picture_is_the_same_again_and_needs_no_other(faces):
    everything = [[faces.image(p, n) for n in range(4)] for p in range(6)]
    alone = SyntheticFaces(6, 4, 48, 40, seed=3).image(4, 2)
    np.testing.assert_array_equal(everything[4][2], alone)
    # How many there are besides changes nobody.
    np.testing.assert_array_equal(alone, SyntheticFaces(99, 50, 48, 40, seed=3).image(4, 2))


def test_every_person_picture_and_seed_is_another(faces):
    other = dataclasses.replace(faces, seed=4)
    pictures = [faces.encoded(0, 0), faces.encoded(0, 1), faces.encoded(1, 0), other.encoded(0, 0)]
    assert len(set(pictures)) == 4
    # The upper corner is what is behind them, which is a matter of the picture.
    behind = {tuple(faces.image(p, n)[0, -1] // 8) for p in range(6) for n in range(4)}
    assert len(behind) > 20


@pytest.mark.parametrize(("height", "width"), [(8, 8), (160, 160), (112, 96), (9, 200)])
def test_any_size(height, width):
    image = SyntheticFaces(1, 1, height, width).image(0, 0)
    assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)
    assert image.std() > 10


def test_people_differ_more_than_their_pictures(faces):
    # Skin and hair in the middle of the picture, less the light: alike in pictures of one person.
    faces = dataclasses.replace(faces, num_people=20)
    middle = [faces.image(p, n)[8:40, 10:30] for p in range(20) for n in range(4)]
    pixels = np.reshape(middle, (80, -1)).astype(float)
    pixels -= pixels.mean(axis=1, keepdims=True)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    one, other = np.triu_indices(80, 1)
    same = one // 4 == other // 4
    distance = 2 - 2 * np.sum(pixels[one] * pixels[other], axis=1)
    # Neither nothing to be learned, nor nothing left to learn.
    assert 0.55 < metrics.auc(distance[same], distance[~same]) < 0.85


def test_a_folder_for_every_person(faces, tmp_path):
    faces = dataclasses.replace(faces, num_people=2, images_per_person=3)
    folder = faces.write(tmp_path / "made" / "up")
    listing = list_input(str(folder), tmp_path / "spool")
    assert not listing.refusals
    assert [(one.key, one.identity) for one in listing.images] == [
        (f"{person:05d}/{number:03d}.jpg", f"{person:05d}")
        for person in range(2)
        for number in range(3)
    ]
    read = decode_rgb((folder / "00001" / "002.jpg").read_bytes())
    np.testing.assert_array_equal(read, faces.image(1, 2))
    with pytest.raises(FileExistsError, match="new or empty"):
        faces.write(folder)


@pytest.mark.parametrize(
    "change", [{"num_people": 0}, {"images_per_person": 0}, {"height": 7}, {"width": 20.5}]
)
def test_numbers_that_make_no_sense(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} must be a whole number"):
        SyntheticFaces(**change)


@pytest.mark.parametrize(("person", "number"), [(6, 0), (-1, 0), (0, 4), (0, -1)])
def test_nobody_there(faces, person, number):
    with pytest.raises(ValueError, match=f"from 0 to .*Received: {person or number}"):
        faces.image(person, number)


class TestPose:
    OVAL = Oval(0.4, 0.2, 0.2, 0.1, depth=0.0)

    def test_an_oval_lies_where_it_says_and_is_as_large(self):
        mask = painted(self.OVAL)
        assert middle(mask) == pytest.approx((20 + 0.2 * 20, 20 + 0.4 * 20), abs=0.05)
        assert mask.sum() == pytest.approx(np.pi * 4 * 2, rel=0.03)

    def test_shift_size_and_roll(self):
        moved = painted(self.OVAL, shift_x=0.1, shift_y=-0.2)
        assert middle(moved) == pytest.approx((16, 32), abs=0.05)
        assert middle(painted(self.OVAL, size=0.25)) == pytest.approx((22, 24), abs=0.05)
        assert middle(painted(self.OVAL, roll=np.pi / 2)) == pytest.approx((28, 16), abs=0.05)

    def test_what_is_nearer_moves_further_when_the_head_turns(self):
        far, near = (middle(painted(Oval(0, 0, 0.1, 0.1, depth=d), yaw=0.3)) for d in (0.2, 0.8))
        assert far == pytest.approx((20, 20 + 20 * 0.2 * np.sin(0.3)), abs=0.05)
        assert near == pytest.approx((20, 20 + 20 * 0.8 * np.sin(0.3)), abs=0.05)
        down = middle(painted(Oval(0, 0, 0.1, 0.1, depth=0.8), pitch=0.3))
        assert down == pytest.approx((20 + 20 * 0.8 * np.sin(0.3), 20), abs=0.05)

    def test_a_tilted_oval_and_its_mirror(self):
        oval = Oval(0.2, 0, 0.4, 0.1, tilt=0.5, depth=0)
        row, column = np.indices((40, 40))
        for one, sign in ((oval, 1), (oval.mirrored(), -1)):
            mask = painted(one)
            assert middle(mask) == pytest.approx((20, 20 + sign * 4), abs=0.05)
            slope = np.cov(column.ravel(), row.ravel(), aweights=mask.ravel())
            angle = 0.5 * np.arctan2(2 * slope[0, 1], slope[0, 0] - slope[1, 1])
            assert angle == pytest.approx(sign * 0.5, abs=0.03)

    def test_ends_hang_and_chins_narrow(self):
        bent = painted(Oval(0, 0, 0.6, 0.08, bend=0.3, depth=0))
        ends, centre = middle(bent[:, :12])[0], middle(bent[:, 19:21])[0]
        assert ends > centre + 2
        narrow = painted(Oval(0, 0, 0.5, 0.5, taper=0.4, depth=0))
        assert narrow[26].sum() < narrow[13].sum() - 3

    def test_what_is_outside_is_cut_off(self):
        assert painted(Oval(3.0, 0, 0.2, 0.2)).max() == 0
        assert 0 < painted(Oval(1.0, 0, 0.3, 0.3, depth=0))[:, -1].max() <= 1

    def test_softness_blurs_an_edge(self):
        partly = [np.mean((m > 0.05) & (m < 0.95)) for m in (painted(self.OVAL, s) for s in (0, 1))]
        assert partly[1] > 2 * partly[0]
