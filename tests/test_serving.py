"""Serving: every signature answers as Keras does, in inference mode, with reproducible bytes."""

import hashlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

import facezoo
from facezoo import serving
from facezoo.backbones import MobileFaceNet
from facezoo.data.decode import decode_and_resize, decode_image
from facezoo.data.records import read_records

DIM = 6
SIGNATURES = {"serving_default", "embed_bytes", "embed_image", "embed"}
WARMUP = "assets.extra/tf_serving_warmup_requests"


def make_model(seed=0):
    """A small model whose batch normalisation tells training from inference."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    backbone = MobileFaceNet(**MobileFaceNet.TINY, name="tiny")
    head = facezoo.create_head("cosface", num_classes=5)
    model = facezoo.create_model(backbone, DIM, head, embedding={"batch_norm": True})
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if "moving" in variable.name:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
    return model


def digest(folder):
    """Digest of every file by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "1"
    serving.export_saved_model(model, folder)
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    return tf.saved_model.load(str(folder))


@pytest.fixture(scope="module")
def photographs():
    """Two JPEGs and a PNG, of two sizes, none of which is the network's."""
    random = np.random.default_rng(1)
    jpegs = [random.integers(0, 256, (31, 22, 3), np.uint8) for _ in range(2)]
    png = random.integers(0, 256, (13, 40, 3), np.uint8)
    return [*(tf.io.encode_jpeg(one).numpy() for one in jpegs), tf.io.encode_png(png).numpy()]


@pytest.fixture(scope="module")
def image(model, photographs):
    pixels = tf.stack([decode_and_resize(one, model.preprocessing) for one in photographs])
    return model.preprocessing.standardize(pixels).numpy()


@pytest.fixture(scope="module")
def answer(model, image):
    return {name: values.numpy() for name, values in model(image, training=False).items()}


@pytest.fixture(scope="module")
def requests(photographs, image, answer):
    return serving.make_requests(photographs, image, answer)


class TestExport:
    def test_signatures_with_their_inputs_and_outputs(self, loaded):
        assert set(loaded.signatures) == SIGNATURES
        inputs = {
            name: [
                (spec.name, spec.dtype, spec.shape.as_list())
                for spec in one.structured_input_signature[1].values()
            ]
            for name, one in loaded.signatures.items()
        }
        as_bytes = [("image_bytes", tf.string, [None])]
        assert inputs == {
            "serving_default": as_bytes,
            "embed_bytes": as_bytes,
            "embed_image": [("image", tf.uint8, [None, None, None, 3])],
            "embed": [("image", tf.float32, [None, 16, 18, 3])],
        }
        for one in loaded.signatures.values():
            shapes = {name: spec.shape.as_list() for name, spec in one.structured_outputs.items()}
            assert shapes == {"embedding": [None, DIM], "norm": [None]}

    def test_every_signature_answers_as_keras(self, loaded, requests):
        assert {request.signature for request in requests} == SIGNATURES
        for request in requests:
            inputs = {
                name: tf.constant(array.tolist() if array.dtype == object else array)
                for name, array in request.inputs.items()
            }
            found = loaded.signatures[request.signature](**inputs)
            for name, expected in request.outputs.items():
                np.testing.assert_allclose(found[name], expected, atol=1e-5)

    def test_pixels_of_any_size_equal_their_png(self, loaded):
        pixels = np.random.default_rng(2).integers(0, 256, (50, 27, 3), np.uint8)
        png = tf.io.encode_png(pixels)
        from_image = loaded.signatures["embed_image"](image=tf.constant(pixels[None]))
        from_bytes = loaded.signatures["embed_bytes"](image_bytes=png[None])
        for name, values in from_image.items():
            np.testing.assert_allclose(values, from_bytes[name], atol=1e-6)

    def test_inference_mode(self, loaded, image, answer):
        """In training mode an answer would depend on the other images of the batch."""
        alone = loaded.signatures["embed"](image=tf.constant(image[:1]))
        np.testing.assert_allclose(alone["embedding"], answer["embedding"][:1], atol=1e-5)

    def test_weights_are_stored_once_and_without_the_head(self, model, folder):
        stored = tf.train.list_variables(str(folder / "variables" / "variables"))
        sizes = [np.prod(shape, dtype=int) for name, shape in stored if "VARIABLE" in name]
        used = [*model.backbone.variables, *model.embedding.variables]
        assert sorted(sizes) == sorted(np.prod(one.shape, dtype=int) for one in used)

    def test_no_trace_of_the_process(self, model, folder, tmp_path):
        """What TensorFlow counts in a process (functions, tensors) has gone on since `folder`."""
        serving.export_saved_model(model, tmp_path / "again")
        assert digest(tmp_path / "again") == digest(folder)
        assert "fingerprint.pb" not in digest(folder)

    @pytest.mark.slow
    def test_another_process_writes_the_same_bytes(self, folder, tmp_path):
        code = (
            "import sys; from tests.test_serving import make_model; from facezoo import serving;"
            "serving.export_saved_model(make_model(), sys.argv[1])"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "other")], check=True)
        assert digest(tmp_path / "other") == digest(folder)


class TestWarmup:
    def test_every_signature_is_asked_in_real_protos(self, folder, tmp_path, requests, answer):
        shutil.copytree(folder, tmp_path / "1")
        serving.write_warmup(tmp_path / "1", requests)
        logs = [
            prediction_log_pb2.PredictionLog.FromString(record).predict_log
            for record in read_records(tmp_path / "1" / WARMUP)
        ]
        names = [log.request.model_spec.signature_name for log in logs]
        assert set(names) == SIGNATURES
        recorded = tf.make_ndarray(logs[names.index("embed")].response.outputs["embedding"])
        np.testing.assert_array_equal(recorded, answer["embedding"])

    def test_photographs_of_one_size_share_a_request(self, photographs, requests, answer):
        asked = [request for request in requests if request.signature == "embed_image"]
        assert [len(request.inputs["image"]) for request in asked] == [1, 2]
        np.testing.assert_array_equal(asked[0].inputs["image"][0], decode_image(photographs[2]))
        np.testing.assert_array_equal(asked[0].outputs["norm"], answer["norm"][2:])

    def test_the_same_requests_give_the_same_bytes(self, tmp_path, requests):
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            serving.write_warmup(tmp_path / name, requests)
        assert digest(tmp_path / "one") == digest(tmp_path / "other")

    @pytest.mark.parametrize("number", [0, 1001])
    def test_as_many_as_the_server_takes(self, tmp_path, requests, number):
        with pytest.raises(ValueError, match=rf"1 to 1000 warm-up requests.*{number}"):
            serving.write_warmup(tmp_path, requests[:1] * number)


class TestServedModel:
    def test_embeds_pixels(self, folder, photographs, answer):
        served = serving.load(folder)
        pixels = np.stack([decode_image(one) for one in photographs[:2]])
        found = served(pixels)
        np.testing.assert_allclose(found["embedding"], answer["embedding"][:2], atol=1e-5)
        np.testing.assert_allclose(found["norm"], answer["norm"][:2], atol=1e-5)
        assert served.preset is None

    def test_brings_the_preset(self, folder, tmp_path):
        copy = tmp_path / "1"
        shutil.copytree(folder, copy)
        (copy / "assets.extra").mkdir()
        (copy / "assets.extra" / "preset.json").write_text('{"name": "tiny"}')
        assert serving.load(copy).preset == {"name": "tiny"}

    @pytest.mark.parametrize(
        "pixels", [np.zeros((2, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8)]
    )
    def test_refuses_what_is_no_batch_of_pixels(self, folder, pixels):
        with pytest.raises(ValueError, match=r"uint8 \[N, H, W, 3\]"):
            serving.load(folder)(pixels)

    def test_says_where_there_is_no_model(self, tmp_path):
        with pytest.raises(ValueError, match=r"saved_model\.pb"):
            serving.load(tmp_path)

    @pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
    def test_says_if_a_model_is_cut_off(self, folder, tmp_path, file):
        copy = tmp_path / "1"
        shutil.copytree(folder, copy)
        content = (copy / file).read_bytes()
        (copy / file).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match="cannot be loaded"):
            serving.load(copy)

    def test_refuses_a_model_of_others(self, tmp_path):
        tf.saved_model.save(tf.Module(), str(tmp_path))
        with pytest.raises(ValueError, match="no signature 'embed_image'.*Received: none"):
            serving.load(tmp_path)
