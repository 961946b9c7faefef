"""Views of a picture at test time, and one embedding out of theirs."""

import numpy as np
import pytest

from facezoo.data.test_time import TestTime, center

_PICTURE = np.arange(10 * 8 * 3, dtype=np.uint8).reshape(10, 8, 3)


def _unit(*shape):
    vectors = np.random.default_rng(0).normal(size=shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def test_the_crop_is_the_middle():
    np.testing.assert_array_equal(center(_PICTURE, 0.5), _PICTURE[2:7, 2:6])
    np.testing.assert_array_equal(center(_PICTURE, 1.0), _PICTURE)
    assert center(_PICTURE, 0.01).shape == (1, 1, 3)


def test_views_are_every_scale_and_then_the_same_mirrored():
    views = TestTime(crop=0.5, flip="mean", scales=(1.0, 2.0)).views(_PICTURE)
    assert [view.shape for view in views] == [(5, 4, 3), (10, 8, 3)] * 2
    np.testing.assert_array_equal(views[2], views[0][:, ::-1])
    np.testing.assert_array_equal(views[1], _PICTURE)


def test_one_view_passes_unchanged():
    embedding = _unit(3, 1, 4)
    assert TestTime().combine(embedding) is not None
    np.testing.assert_array_equal(TestTime().combine(embedding), embedding[:, 0])


def test_the_mean_has_the_direction_of_the_sum():
    embedding = _unit(3, 2, 4)
    found = TestTime(flip="mean").combine(embedding)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)
    total = embedding.sum(axis=1)
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_squared_distance_of_concatenated_views_is_their_mean():
    embedding = _unit(2, 2, 4)
    one, other = TestTime(flip="concat").combine(embedding)
    expected = np.mean(np.sum((embedding[0] - embedding[1]) ** 2, axis=-1))
    assert np.sum((one - other) ** 2) == pytest.approx(expected, abs=1e-6)


def test_opposite_views_have_no_mean():
    view = _unit(1, 1, 4)
    with pytest.raises(ValueError, match="add up to zero"):
        TestTime(flip="mean").combine(np.concatenate([view, -view], axis=1))


def test_thresholds_are_bound_to_everything_that_is_done_to_a_picture():
    # Nothing but the model's own preprocessing: thresholds serve everybody who has the model.
    assert TestTime().binding("abc") == "abc"
    others = [TestTime(crop=0.5), TestTime(flip="mean"), TestTime(flip="concat")]
    others.append(TestTime(crop=0.5, scales=(1.0, 1.2)))
    bindings = {one.binding("abc") for one in others} | {others[0].binding("abd"), "abc"}
    assert len(bindings) == 6


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"crop": 0.0}, "crop must be"),
        ({"crop": 1.1}, "crop must be"),
        ({"crop": np.nan}, "crop must be"),
        ({"flip": "both"}, "flip must be one of none, concat, mean"),
        ({"scales": ()}, "scales must be"),
        ({"scales": (1.5,)}, "more than the picture"),
        ({"scales": (0.0,)}, "scales must be"),
    ],
)
def test_impossible_views_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        TestTime(**arguments)
