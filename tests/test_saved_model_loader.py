"""The loader: TensorFlow's C API answers as Keras does, and says in one line what is wrong."""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import facezoo
import pipelines
from facezoo import serving
from facezoo.backbones import MobileFaceNet
from facezoo.data.decode import decode_and_resize

LOADER = Path(pipelines.__file__).parent / "saved_model_loader"
SIGNATURES = {"serving_default", "embed_bytes", "embed_image", "embed"}
WARMUP = "assets.extra/tf_serving_warmup_requests"
WEIGHTS = "variables/variables.data-00000-of-00001"


def run_loader(folder, *arguments):
    command = [sys.executable, "-I", LOADER, folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def fails(folder, *arguments):
    """Runs the loader, which must fail; returns its last word."""
    done = run_loader(folder, *arguments)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def requests_and_folder(tmp_path_factory):
    keras.utils.set_random_seed(0)
    backbone = MobileFaceNet(**MobileFaceNet.TINY, name="tiny")
    model = facezoo.create_model(backbone, embedding_dim=6)
    random = np.random.default_rng(1)
    pixels = [random.integers(0, 256, (size, 30, 3), np.uint8) for size in (20, 20, 35)]
    photographs = [tf.io.encode_jpeg(one).numpy() for one in pixels]
    crops = tf.stack([decode_and_resize(one, model.preprocessing) for one in photographs])
    image = model.preprocessing.standardize(crops)
    answer = {name: values.numpy() for name, values in model(image, training=False).items()}
    folder = tmp_path_factory.mktemp("served") / "1"
    serving.export_saved_model(model, folder)
    requests = serving.make_requests(photographs, image.numpy(), answer)
    serving.write_warmup(folder, requests)
    return requests, folder


@pytest.fixture
def folder(requests_and_folder, tmp_path):
    """A copy to break."""
    shutil.copytree(requests_and_folder[1], tmp_path / "1")
    return tmp_path / "1"


@pytest.fixture
def requests(requests_and_folder):
    return list(requests_and_folder[0])


@pytest.fixture
def messages(monkeypatch):
    """The loader's own reader of protocol buffers, imported as the loader imports it."""
    monkeypatch.syspath_prepend(str(LOADER))
    import messages

    yield messages
    sys.modules.pop("messages")


class TestAnswers:
    def test_every_signature_answers_as_keras_and_a_wrong_answer_shows(self, folder, requests):
        wrong = {name: values + 0.25 for name, values in requests[0].outputs.items()}
        recorded = serving.Request("embed_bytes", requests[0].inputs, wrong)
        serving.write_warmup(folder, [*requests, recorded])
        done = run_loader(folder)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert set(report) == SIGNATURES
        assert [report[name]["requests"] for name in sorted(report)] == [1, 2, 2, 1]
        assert 0.1 < report.pop("embed_bytes")["max_difference"] <= 0.25 + 1e-5
        for found in report.values():
            assert found["max_difference"] <= 1e-5
            assert found["max_norm_error"] <= 1e-5

    @pytest.mark.slow
    def test_refuses_a_process_with_keras(self, folder):
        code = (
            "import sys, types, runpy; sys.modules['keras'] = types.ModuleType('keras');"
            "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        command = [sys.executable, "-c", code, LOADER, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "This process imported keras" in done.stderr


class TestBrokenModels:
    def test_cut_off_graph(self, folder):
        content = (folder / "saved_model.pb").read_bytes()
        (folder / "saved_model.pb").write_bytes(content[:-1000])
        assert "cannot be loaded" in fails(folder)

    @pytest.mark.slow
    def test_cut_off_weights(self, folder):
        content = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(content[: len(content) // 2])
        assert "cannot be loaded" in fails(folder)

    @pytest.mark.slow
    def test_missing_weights(self, folder):
        """TensorFlow takes it for a model without weights, until it is run."""
        shutil.rmtree(folder / "variables")
        assert "serving_default cannot be run: Could not find variable" in fails(folder)

    @pytest.mark.slow
    def test_missing_folder(self, tmp_path):
        assert "Could not find SavedModel" in fails(tmp_path / "nowhere")

    @pytest.mark.slow
    def test_answers_that_are_no_numbers(self, folder, requests):
        """An embedding of NaN has no distance to anything: it must not pass as 0."""
        image = np.full_like(requests[2].inputs["image"], np.nan)
        nan = serving.Request("embed", {"image": image}, requests[2].outputs)
        serving.write_warmup(folder, [nan])
        assert "not finite" in fails(folder)


class TestBrokenRequests:
    @pytest.mark.slow
    def test_none(self, folder):
        (folder / WARMUP).unlink()
        assert "nothing to ask" in fails(folder)

    @pytest.mark.slow
    def test_cut_off(self, folder):
        content = (folder / WARMUP).read_bytes()
        (folder / WARMUP).write_bytes(content[:-7])
        assert "tf_serving_warmup_requests is cut off" in fails(folder)

    @pytest.mark.slow
    def test_a_signature_that_nobody_asked(self, folder, requests):
        serving.write_warmup(folder, [one for one in requests if one.signature != "embed"])
        assert fails(folder) == "No warm-up request asks for the signatures embed."

    @pytest.mark.slow
    def test_a_signature_that_is_not_there(self, folder, requests):
        other = serving.Request("embed_voice", requests[0].inputs, requests[0].outputs)
        serving.write_warmup(folder, [other])
        assert "signature 'embed_voice'. The model has: embed, embed_bytes" in fails(folder)

    @pytest.mark.slow
    def test_a_photograph_that_cannot_be_decoded(self, folder, requests):
        inputs = {"image_bytes": np.array([b"no photograph"], dtype=object)}
        broken = serving.Request("embed_bytes", inputs, requests[0].outputs)
        serving.write_warmup(folder, [broken])
        assert "embed_bytes cannot be run: Unknown image file format" in fails(folder)

    def test_no_libraries(self, folder, tmp_path):
        assert "Give the folder of libtensorflow_cc.so.2" in fails(folder, "--libraries", tmp_path)


class TestMessages:
    def test_fields_of_every_wire_type(self, messages):
        message = b"\x08\xac\x02" + b"\x12\x02ab" + b"\x19" + bytes(8) + b"\x25" + bytes(4)
        expected = [(1, 300), (2, b"ab"), (3, bytes(8)), (4, bytes(4))]
        assert list(messages.fields(message)) == expected

    @pytest.mark.parametrize("message", [b"\x08", b"\x08\x80", b"\x12\x05ab", b"\x25\x00"])
    def test_cut_off(self, messages, message):
        with pytest.raises(messages.ServingError, match="cut off"):
            list(messages.fields(message))

    @pytest.mark.parametrize(
        "array",
        [
            np.arange(6, dtype=np.float32).reshape(2, 3),
            np.arange(6, dtype=np.uint8).reshape(1, 2, 3),
            np.array(5, dtype=np.int64),
            np.zeros((0, 4), np.float32),
            np.array([b"a\0b\0", b""], dtype=object),
        ],
    )
    def test_tensors_of_the_real_protos(self, messages, tmp_path, array):
        request = serving.Request("embed", {"x": array}, {})
        serving.write_warmup(tmp_path, [request])
        ((signature, inputs, outputs),) = messages.read_requests(tmp_path / WARMUP)
        assert (signature, outputs) == ("embed", {})
        assert inputs["x"].dtype == array.dtype
        np.testing.assert_array_equal(inputs["x"], array)

    def test_a_tensor_with_values_missing(self, messages):
        dims = b"\x12\x04\x12\x02\x08\x03"
        proto = b"\x08\x01" + dims + b"\x22\x08" + struct.pack("<2f", 1, 2)
        with pytest.raises(messages.ServingError, match=r"2 values for a tensor of shape \[3\]"):
            messages.read_tensor(proto)
