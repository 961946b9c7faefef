"""One byte per number: the scale, the codes, and what they cost."""

import doctest

import keras
import numpy as np
import pytest

from facezoo.evaluation.quantization import quantization_table
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.evaluation.verification_report import ReportOptions
from facezoo.ops import calibrate_scale, dequantize, quantization, quantize


def _unit(num, dim, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(num, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_codes_are_steps_of_the_scale():
    codes = _numpy(quantize(np.array([[0.0, 0.1, -0.1, 0.26, 0.24]], np.float32), 0.1))
    assert codes.dtype == np.int8
    assert codes.tolist() == [[0, 1, -1, 3, 2]]


def test_what_is_over_the_scale_is_cut_off_at_both_ends_alike():
    codes = _numpy(quantize(np.array([[1.0, -1.0]], np.float32), 0.001))
    assert codes.tolist() == [[127, -127]]


def test_a_code_comes_back_as_unit_vector_of_nearly_the_same_direction():
    embedding = _unit(200, 128)
    back = _numpy(dequantize(quantize(embedding, calibrate_scale(embedding))))
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), 1.0, atol=1e-6)
    # Rounding by up to half a step of about 0.0027 in each of 128 numbers; some are cut off.
    cosine = np.sum(back * embedding, axis=1)
    assert cosine.mean() > 0.9999
    assert cosine.min() > 0.999


def test_the_scale_is_set_by_all_but_one_number_in_ten_thousand():
    embedding = _unit(2000, 128)
    scale = calibrate_scale(embedding)
    clipped = np.mean(np.abs(embedding) > 127 * scale)
    assert clipped == pytest.approx(1e-4, rel=0.05)
    outlier = embedding.copy()
    outlier[0, 0] = 1.0
    assert calibrate_scale(outlier) == pytest.approx(scale, rel=0.01)


def test_a_scale_takes_something_to_measure():
    for nothing in (np.zeros((3, 4)), np.zeros((0, 4))):
        with pytest.raises(ValueError, match="not zero"):
            calibrate_scale(nothing)


def test_the_table_names_bytes_and_both_vals():
    center = _unit(60, 256, seed=1)
    embedding = np.repeat(center, 2, axis=0) + 0.05 * _unit(120, 256, seed=2)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    genuine = np.stack([np.arange(0, 120, 2), np.arange(1, 120, 2)], axis=1)
    impostor = np.stack([np.arange(118), np.arange(2, 120)], axis=1)
    pair = np.concatenate([genuine, impostor])
    same = np.repeat([True, False], [60, 118])

    def score(vectors):
        distance = np.sum((vectors[pair[:, 0]] - vectors[pair[:, 1]]) ** 2, axis=1)
        return ScoredPairs(distance, same, pair // 2)

    options = ReportOptions(far_targets=(0.1, 0.001))
    rows = quantization_table(embedding, embedding, score, options)
    assert [row["bytes"] for row in rows] == [256, 128]
    for row in rows:
        # 118 impostor pairs say nothing about a FAR of 0.001.
        assert [point["target"] for point in row["val"]] == [0.1]
        assert row["val"][0]["val_float"] == row["val"][0]["val_bytes"] == 1.0
        assert row["auc_bytes"] == pytest.approx(row["auc_float"], abs=1e-3)


def test_the_scale_is_found_on_other_pictures():
    embedding = _unit(4, 16)
    pairs = ScoredPairs(np.arange(2.0), np.array([True, False]), np.array([[0, 0], [0, 1]]))
    (row,) = quantization_table(embedding, np.eye(16), lambda _: pairs, ReportOptions())
    assert row["scale"] == calibrate_scale(np.eye(16))
    assert row["clipped"] == 0.0
    assert row["val"] == []


def test_examples():
    assert doctest.testmod(quantization).failed == 0
