"""The loader: TensorFlow's C API answers as Keras does, and says in one line what is wrong."""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import pipelines
from facezoo import serving
from tests import served
from tests.photographs import raw_png

LOADER = Path(pipelines.__file__).parent / "saved_model_loader"
WARMUP = "assets.extra/tf_serving_warmup_requests"
# What a stranger may send in the place of a picture.
NO_PICTURES = [
    b"",
    b"no picture",
    b"/etc/passwd",
    b"file:///etc/passwd",
    b"http://localhost/a.jpg",
    b"\xff\xd8\xff",
    served.make_photographs()[0][:200],
    # A hundred megapixels in a few bytes.
    raw_png(10_000, 10_000, 8, 2),
]


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
    return served.exported(tmp_path_factory)


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


@pytest.fixture
def answers(monkeypatch, messages):
    import answers

    yield answers
    sys.modules.pop("answers")


def by_signature(requests, signature):
    return next(one for one in requests if one.signature == signature)


def between_pictures(requests, pictures):
    """A request of two good pictures with these between them, and the answer it must get."""
    embedded = by_signature(requests, "serving_default").outputs
    first, second, *_ = served.make_photographs()
    outputs = {
        name: np.concatenate(
            [values[:1], np.zeros((len(pictures), *values.shape[1:]), values.dtype), values[1:2]]
        )
        for name, values in embedded.items()
    }
    inputs = {"image_bytes": np.array([first, *pictures, second], dtype=object)}
    return serving.Request("embed_bytes", inputs, outputs)


def report_of(folder):
    done = run_loader(folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestAnswers:
    def test_every_signature_answers_as_keras_and_a_wrong_answer_shows(self, folder, requests):
        asked = by_signature(requests, "serving_default")
        wrong = {**asked.outputs, "norm": asked.outputs["norm"] + 0.25}
        strangers = between_pictures(requests, NO_PICTURES)
        recorded = serving.Request("serving_default", asked.inputs, wrong)
        serving.write_warmup(folder, [*requests, strangers, recorded])
        report = report_of(folder)
        assert set(report) == served.SIGNATURES
        assert (report["embed_bytes"]["requests"], report["embed_image"]["requests"]) == (2, 2)
        assert 0.01 < report.pop("serving_default")["max_difference"] <= 0.25 + 1e-5
        for found in report.values():
            assert found["max_difference"] <= 1e-5
            assert found["max_norm_error"] <= 1e-5

    @pytest.mark.slow
    def test_a_hundred_megabytes_of_nothing(self, folder, requests):
        strangers = between_pictures(requests, [bytes(100 * 2**20)])
        serving.write_warmup(folder, [*requests, strangers])
        assert report_of(folder)["embed_bytes"]["max_difference"] <= 1e-5

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
    def test_cut_off_in_the_middle(self, folder):
        content = (folder / "saved_model.pb").read_bytes()
        (folder / "saved_model.pb").write_bytes(content[: len(content) // 2])
        assert "cannot be loaded" in fails(folder)

    @pytest.mark.slow
    def test_a_model_of_others(self, tmp_path, requests):
        """One line tells what it has in place of what is asked."""
        module = tf.Module()
        spec = tf.TensorSpec([None], name="x")
        module.twice = tf.function(lambda x: {"y": 2 * x}, input_signature=[spec])
        tf.saved_model.save(module, str(tmp_path), {"twice": module.twice})
        serving.write_warmup(tmp_path, requests)
        expected = "A request asks for signature 'serving_default'. The model has: twice."
        assert fails(tmp_path) == expected

    @pytest.mark.slow
    def test_missing_folder(self, tmp_path):
        assert "Could not find SavedModel" in fails(tmp_path / "nowhere")

    @pytest.mark.slow
    def test_answers_that_are_no_numbers(self, folder, requests):
        """An embedding of NaN has no distance to anything: it must not pass as 0."""
        asked = by_signature(requests, "embed")
        image = np.full_like(asked.inputs["image"], np.nan)
        nan = serving.Request("embed", {"image": image}, asked.outputs)
        serving.write_warmup(folder, [nan])
        assert "not finite" in fails(folder)


class TestDifference:
    """What counts as the same answer."""

    def test_numbers(self, answers):
        expected = np.array([0.0, 0.5, 100.0], np.float32)
        assert answers.difference("norm", expected, expected) == 0.0
        found = np.array([0.0, 0.5, 101.0], np.float32)
        assert answers.difference("norm", found, expected) == pytest.approx(0.01)
        assert answers.difference("norm", expected[:0], expected[:0]) == 0.0

    def test_what_is_no_number_must_be_none_in_both(self, answers):
        expected = np.array([np.nan, 0.5], np.float32)
        assert answers.difference("probability", expected, expected) == 0.0
        for found in ([0.5, 0.5], [np.nan, np.nan], [0.5, np.nan]):
            with pytest.raises(Exception, match="probability holds values that are not finite"):
                answers.difference("probability", np.array(found, np.float32), expected)

    def test_verdicts(self, answers):
        expected = np.array([True, False])
        assert answers.difference("same", expected, expected) == 0.0
        assert answers.difference("same", ~expected, expected) == 1.0

    def test_texts(self, answers):
        expected = np.array([b"a", b""], dtype=object)
        assert answers.difference("name", expected, expected) == 0.0
        with pytest.raises(Exception, match="name is another text"):
            answers.difference("name", expected[::-1], expected)

    @pytest.mark.parametrize(
        ("found", "expected"), [(np.zeros(2), np.zeros(3)), (np.zeros(2), np.zeros(2, np.float32))]
    )
    def test_another_form(self, answers, found, expected):
        with pytest.raises(Exception, match="norm must be"):
            answers.difference("norm", found, expected)

    @pytest.mark.parametrize(
        ("changed", "step", "difference"),
        [
            (0, 0, 0.0),
            (1, 1, 0.0),
            (1, -1, 0.0),
            (5, 1, 0.0),
            (6, 1, 1.0),
            (1, 2, 2.0),
            (1, -90, 90.0),
        ],
    )
    def test_codes_may_be_rounded_otherwise_here_and_there(
        self, answers, changed, step, difference
    ):
        """Two in a hundred numbers of 256, by one step: as the last bit of an embedding decides."""
        code = np.full((2, 128), 10, np.int8)
        other = code.copy()
        other.ravel()[:changed] += step
        found, expected = (
            np.array([row.tobytes() for row in one], dtype=object) for one in (other, code)
        )
        assert answers.difference("embedding_bytes", found, expected) == difference

    def test_codes_of_another_length(self, answers):
        found, expected = (np.array([bytes(n)], dtype=object) for n in (5, 6))
        with pytest.raises(Exception, match="An embedding has 5 bytes. Recorded: 6"):
            answers.difference("embedding_bytes", found, expected)

    def test_no_length_is_asked_of_what_is_not_valid(self, answers):
        embedding = np.array([[0.6, 0.8], [0.0, 0.0]], np.float32)
        assert answers.norm_error({"embedding": embedding}) == 1.0
        answer = {"embedding": embedding, "valid": np.array([True, False])}
        assert answers.norm_error(answer) == pytest.approx(0.0, abs=1e-7)
        assert answers.norm_error({"distance": np.zeros(2)}) == 0.0


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
        assert "signature 'embed_voice'. The model has: embed, embed_128" in fails(folder)

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
            np.zeros(0, dtype=object),
            np.array([True, False]),
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
