"""Warm-up requests: expected answers are found without the exported model, and can be expected."""

import numpy as np
import pytest

from facezoo import serving
from tests import served


@pytest.fixture(scope="module")
def model():
    return served.make_model()


def make_requests(model, threshold=served.THRESHOLD):
    photographs = served.make_photographs()
    image, thresholds = served.prepare(model, photographs), served.make_thresholds(model, threshold)
    requests = serving.make_requests(model, photographs, image, thresholds)
    return {request.signature: request for request in requests}


def test_every_signature_is_asked(model):
    assert set(make_requests(model)) == served.SIGNATURES


def test_one_that_is_no_picture_is_among_the_others(model):
    request = make_requests(model)["embed_bytes"]
    assert request.outputs["valid"].tolist() == [True, True, True, False]
    assert not request.outputs["embedding"][3].any()
    assert request.inputs["image_bytes"].tolist()[:3] == served.make_photographs()


def test_a_pair_at_the_threshold_is_left_out(model):
    """Its verdict would hang on the last bit of a distance, in which engines differ."""
    request = make_requests(model)["verify_pair"]
    distance, number = request.outputs["distance"], len(served.make_photographs())
    assert len(distance) == number
    near = make_requests(model, float(distance[1]) + 5e-5)["verify_pair"]
    np.testing.assert_array_equal(near.outputs["distance"], distance[[0, 2]])
    np.testing.assert_array_equal(near.inputs["first_bytes"], request.inputs["first_bytes"][[0, 2]])
    for side, threshold in ((True, distance.max() + 0.1), (False, distance.min() - 2e-4)):
        found = make_requests(model, float(threshold))["verify_pair"].outputs["same"]
        assert (found == side).all() and len(found) == number


def test_landmarks_lie_in_their_pictures(model):
    request = make_requests(model)["embed_landmarks"]
    landmarks, sizes = request.inputs["landmarks"], [(22, 31), (22, 31), (30, 20)]
    assert landmarks.dtype == np.float32 and landmarks.shape == (3, 5, 2)
    for points, size in zip(landmarks, sizes, strict=True):
        assert (points > 0).all() and (points < size).all()
    left, right, nose, *mouth = landmarks[0]
    assert left[0] < nose[0] < right[0] and left[1] < nose[1] < mouth[0][1]
