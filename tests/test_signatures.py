"""Signatures of a served model: thresholds that come later, codes, facts, one bad row."""

import doctest
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import facezoo
from facezoo import presets, serving, thresholds
from facezoo.data import decode_safely
from facezoo.data.decode_safely import decode_upright, map_valid
from facezoo.data.images import decode_rgb
from facezoo.data.preprocessing import Preprocessing
from facezoo.models import model_fingerprint
from facezoo.ops import uniform_scale
from facezoo.serving.facts import Facts
from facezoo.serving.frozen import freeze
from facezoo.serving.signatures import Signatures
from tests.photographs import encoded, photograph, raw_png
from tests.served import DIM, make_thresholds, prepare
from tests.served import make_model as make_network
from tests.small_model import OneByOne, small_model
from tests.test_serving import digest

PICTURES = [encoded(photograph(seed), "PNG") for seed in range(4)]


@pytest.fixture(scope="module")
def model():
    return small_model(None)


@pytest.fixture(scope="module")
def unmeasured(model, tmp_path_factory):
    """A model that is exported before it is measured, as the pipeline does."""
    folder = tmp_path_factory.mktemp("unmeasured")
    serving.export_saved_model(model, folder, name="small", byte_scale=0.008)
    return folder


@pytest.fixture
def folder(unmeasured, tmp_path):
    """A copy to change."""
    return shutil.copytree(unmeasured, tmp_path / "1")


def compare(folder, first=PICTURES[:2], second=PICTURES[2:]):
    verify = tf.saved_model.load(str(folder)).signatures["verify_pair"]
    answer = verify(first_bytes=tf.constant(first), second_bytes=tf.constant(second))
    return {name: values.numpy() for name, values in answer.items()}


class TestThresholds:
    def test_without_them_there_is_no_verdict(self, unmeasured):
        with pytest.raises(tf.errors.InvalidArgumentError, match="No thresholds are stored"):
            compare(unmeasured)

    def test_pairs_of_three_and_one_are_not_two_and_two(self, model, folder):
        serving.store_thresholds(folder, make_thresholds(model))
        with pytest.raises(tf.errors.InvalidArgumentError, match="as many second pictures"):
            compare(folder, PICTURES[:3], PICTURES[:1])

    def test_stored_later_they_give_the_same_files_as_at_once(self, model, folder, tmp_path):
        table = make_thresholds(model)
        serving.store_thresholds(folder, table)
        at_once = tmp_path / "at_once"
        serving.export_saved_model(model, at_once, "small", table, byte_scale=0.008)
        assert digest(folder) == digest(at_once)

    def test_the_verdict_is_that_of_facezoo_verify(self, model, folder):
        embedding = serving.load(folder).embed_bytes(PICTURES)["embedding"].astype(np.float64)
        exact = np.float32(np.sum(np.square(embedding[0] - embedding[2])))
        table = make_thresholds(model, float(exact))
        serving.store_thresholds(folder, table)
        found = compare(folder)
        assert found["distance"][0] == exact
        assert found["same"][0]
        expected = thresholds.probability(table, float(exact))
        assert found["probability"][0] == pytest.approx(expected, abs=1e-7)

    def test_they_can_be_exchanged_and_need_no_calibration(self, model, folder):
        serving.store_thresholds(folder, make_thresholds(model, 4.0))
        lower = {**make_thresholds(model, 0.0), "calibration": None}
        serving.store_thresholds(folder, lower)
        found = compare(folder, [PICTURES[0], b""], [PICTURES[1], PICTURES[1]])
        assert found["valid"].tolist() == [True, False]
        assert not found["same"].any()
        # Not known, which is not the same as not valid.
        np.testing.assert_array_equal(found["probability"], [np.nan, 0.0])
        assert found["distance"][1] == 0.0

    @pytest.mark.parametrize("what", ["model", "preprocessing"])
    def test_those_of_another_model_are_refused(self, model, folder, what):
        before = digest(folder)
        with pytest.raises(ValueError, match=f"another {what}.*Received: other"):
            serving.store_thresholds(folder, {**make_thresholds(model), what: "other"})
        assert digest(folder) == before
        with pytest.raises(ValueError, match=f"another {what}"):
            table = {**make_thresholds(model), what: "other"}
            serving.export_saved_model(model, folder / "new", thresholds=table)
        assert not (folder / "new").exists()

    def test_the_preset_beside_the_model_learns_them(self, model, folder, tmp_path):
        model.save_preset(tmp_path / "preset")
        content = json.loads((tmp_path / "preset" / "preset.json").read_text("utf-8"))
        extra = folder / serving.EXTRA_DIR
        extra.mkdir()
        (extra / "preset.json").write_text(json.dumps({**content, "weights": None}))
        table = make_thresholds(model)
        serving.store_thresholds(folder, table)
        assert presets.load(extra)["thresholds"] == table
        assert sorted(path.name for path in extra.iterdir()) == ["preset.json"]

    def test_says_where_there_is_no_model(self, model, tmp_path):
        with pytest.raises(ValueError, match=r"saved_model\.pb cannot be read.*export it again"):
            serving.store_thresholds(tmp_path, make_thresholds(model))
        (tmp_path / "saved_model.pb").write_bytes(b"cut off")
        with pytest.raises(ValueError, match=r"saved_model\.pb cannot be read.*export it again"):
            serving.store_thresholds(tmp_path, make_thresholds(model))

    def test_a_model_of_others_holds_no_facts(self, model, tmp_path):
        tf.saved_model.save(tf.Module(), str(tmp_path))
        with pytest.raises(ValueError, match="holds no 'model'.*Export the model again"):
            serving.store_thresholds(tmp_path, make_thresholds(model))


class TestCodes:
    def test_the_first_128_numbers_at_unit_length(self):
        model = facezoo.create_model(OneByOne(), embedding_dim=200)
        embedding = model(prepare(model, PICTURES), training=False)["embedding"].numpy()
        short = embedding[:, :128] / np.linalg.norm(embedding[:, :128], axis=1, keepdims=True)
        facts = Facts("x", "model", "preprocessing", "none", byte_scale=0.001)
        signatures = Signatures(freeze(model), model.preprocessing, facts)
        found = signatures.embed_128(tf.constant(PICTURES))["embedding_bytes"].numpy()
        assert [len(text) for text in found] == [128] * len(PICTURES)
        code = np.array([np.frombuffer(text, np.int8) for text in found])
        assert (code.min(), code.max()) == (-127, 127)
        # Rounding differs where a number lies between two codes.
        assert np.abs(code - np.clip(short / 0.001, -127, 127)).max() < 0.51

    def test_the_step_is_that_of_vectors_that_point_everywhere(self):
        vectors = np.random.default_rng(0).normal(size=(20_000, 128))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        measured = np.quantile(np.abs(vectors), 0.9999) / 127
        assert uniform_scale(128) == pytest.approx(measured, rel=0.01)
        # On a circle the number in ten thousand is nearly 1.
        assert uniform_scale(2) == pytest.approx(np.cos(np.pi / 2 * 1e-4) / 127, rel=1e-6)
        assert uniform_scale(1) == pytest.approx(1 / 127)

    @pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_step_is_above_zero(self, model, tmp_path, scale):
        with pytest.raises(ValueError, match="byte_scale must be above 0.*Received"):
            serving.export_saved_model(model, tmp_path, byte_scale=scale)


class TestRows:
    def test_a_batch_of_none_where_kernels_are_fused(self):
        """Kernels of a convolution and what follows it answer in a wrong shape to none."""
        model = make_network()
        facts = Facts("x", "model", "preprocessing", "none", byte_scale=0.01)
        signatures = Signatures(freeze(model), model.preprocessing, facts)
        found = signatures.embed_image(tf.zeros([0, 9, 8, 3], tf.uint8))
        assert found["embedding"].shape == (0, DIM)

    def test_a_batch_of_none_before_a_convolution_without_padding(self):
        """TensorFlow would fuse a padding with it, and leave out that of the rows."""
        kernel = [tf.ones([3, 3, 3, DIM]), tf.ones([1, 1, DIM, DIM])]

        def network(image):
            first = tf.nn.relu(tf.nn.conv2d(image, kernel[0], 2, "VALID") + 1.0)
            last = tf.nn.relu(tf.nn.conv2d(first, kernel[1], 1, "VALID") + 1.0)
            return {"embedding": tf.reduce_mean(last, [1, 2]), "norm": last[:, 0, 0, 0]}

        facts = Facts("x", "model", "preprocessing", "none", byte_scale=0.01)
        embed = tf.function(Signatures(network, Preprocessing(9, 9), facts).embed_image)
        for num_rows in (0, 2):
            pixels = tf.zeros([num_rows, 12, 10, 3], tf.uint8)
            assert embed(pixels)["embedding"].shape == (num_rows, DIM)

    def test_rows_keep_their_places(self):
        rows = tf.range(100)
        values, valid = map_valid(
            lambda row: tf.debugging.check_numerics(1.0 / tf.cast(row % 3, tf.float32), "zero"),
            [rows],
            tf.TensorSpec([]),
        )
        expected = [0.0 if row % 3 == 0 else 1.0 / (row % 3) for row in range(100)]
        assert values.numpy().tolist() == pytest.approx(expected)
        assert valid.numpy().tolist() == [row % 3 > 0 for row in range(100)]

    @pytest.mark.parametrize("kind", ["JPEG", "PNG"])
    def test_the_size_is_looked_at_first(self, kind, monkeypatch):
        data = encoded(photograph(1, 20, 30), kind)
        monkeypatch.setattr(decode_safely, "MAX_PIXELS", 600)
        np.testing.assert_array_equal(decode_upright(tf.constant(data)), decode_rgb(data))
        monkeypatch.setattr(decode_safely, "MAX_PIXELS", 599)
        with pytest.raises(tf.errors.InvalidArgumentError, match="too many pixels"):
            decode_upright(tf.constant(data))

    def test_no_decoder_sees_what_is_no_jpeg_or_png(self):
        for data in (b"", b"/etc/passwd", bytes(100), encoded(photograph(1), "GIF")):
            with pytest.raises(tf.errors.InvalidArgumentError, match="no JPEG or PNG"):
                decode_upright(tf.constant(data))

    def test_a_size_beyond_32_bits(self):
        with pytest.raises(tf.errors.InvalidArgumentError, match="too many pixels"):
            decode_upright(tf.constant(raw_png(2**31 - 1, 2**31 - 1, 8, 2)))


def test_facts(unmeasured, model):
    info = tf.saved_model.load(str(unmeasured)).signatures["info"]
    # TensorFlow Serving's REST interface refuses a signature that takes nothing.
    answer = info(ignored=tf.constant(["x", ""]))
    # As many rows as were asked for, so that the server may join requests.
    found = {name: values.numpy().tolist() for name, values in answer.items()}
    assert found["name"] == [b"small"] * 2
    assert found["model"] == [model_fingerprint(model).encode()] * 2
    assert found["preprocessing"] == [model.preprocessing.fingerprint().encode()] * 2
    assert found["thresholds"] == [b"null"] * 2
    assert found["byte_scale"] == [np.float32(0.008)] * 2


def test_examples():
    assert doctest.testmod(decode_safely, extraglobs={"tf": tf}).failed == 0
