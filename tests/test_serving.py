"""The exported model: its signatures, its bytes, and its reader."""

import hashlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

import facezoo
from facezoo import serving
from facezoo.data.images import decode_rgb
from facezoo.data.records import read_records
from facezoo.models import model_fingerprint
from facezoo.serving.saved_model import read_saved_model
from tests.served import make_model as make_network
from tests.served import make_photographs, make_thresholds, prepare
from tests.small_model import EMBEDDING_DIM as DIM
from tests.small_model import small_model

WARMUP = "assets.extra/tf_serving_warmup_requests"

# What a server must never do for a stranger.
FORBIDDEN_OPS = {"ReadFile", "WriteFile", "MatchingFiles", "TFRecordDataset", "PyFunc"}


def make_model(seed=0):
    """A small model whose batch normalisation tells training from inference."""
    model = small_model(facezoo.create_head("cosface", num_classes=5), batch_norm=True)
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
    serving.export_saved_model(model, folder, thresholds=make_thresholds(model))
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    return tf.saved_model.load(str(folder))


@pytest.fixture(scope="module")
def photographs():
    return make_photographs()


@pytest.fixture(scope="module")
def image(model, photographs):
    return prepare(model, photographs)


@pytest.fixture(scope="module")
def answer(model, image):
    return {name: values.numpy() for name, values in model(image, training=False).items()}


@pytest.fixture(scope="module")
def served(folder):
    return serving.load(folder)


def nodes(folder):
    """Every node of every function of an exported model."""
    (graph,) = read_saved_model(folder / "saved_model.pb").meta_graphs
    return [
        node for function in graph.graph_def.library.function for node in function.node_def
    ] + list(graph.graph_def.node)


def inputs(signature):
    return signature.structured_input_signature[1].values()


def outputs(signature):
    return signature.structured_outputs


class TestExport:
    def test_signatures_with_their_inputs_and_outputs(self, loaded):
        pictures = {"image_bytes": (tf.string, [None])}
        embedding = {"embedding": (tf.float32, [None, DIM]), "norm": (tf.float32, [None])}
        valid = {"valid": (tf.bool, [None])}
        of_pictures = (pictures, {**embedding, **valid})
        pair = {"first_bytes": (tf.string, [None]), "second_bytes": (tf.string, [None])}
        verdict = {
            "distance": (tf.float32, [None]),
            "same": (tf.bool, [None]),
            "probability": (tf.float32, [None]),
        }
        texts = ("name", "model", "preprocessing", "distance", "alignment", "thresholds")
        facts = {name: (tf.string, [None]) for name in texts}
        coded = {"embedding_bytes": (tf.string, [None]), "norm": embedding["norm"], **valid}
        found = {
            name: (
                {spec.name: (spec.dtype, spec.shape.as_list()) for spec in inputs(one)},
                {key: (spec.dtype, spec.shape.as_list()) for key, spec in outputs(one).items()},
            )
            for name, one in loaded.signatures.items()
        }
        assert found == {
            "serving_default": of_pictures,
            "embed_bytes": of_pictures,
            "embed_flip": of_pictures,
            "embed_landmarks": (
                {**pictures, "landmarks": (tf.float32, [None, 5, 2])},
                of_pictures[1],
            ),
            "embed_128": (pictures, coded),
            "verify_pair": (pair, {**verdict, **valid}),
            "embed_image": ({"image": (tf.uint8, [None, None, None, 3])}, embedding),
            "embed": ({"image": (tf.float32, [None, 2, 2, 3])}, embedding),
            "info": (
                {"ignored": (tf.string, [None])},
                {**facts, "byte_scale": (tf.float32, [None])},
            ),
        }

    def test_inference_mode(self, loaded, image, answer):
        """In training mode an answer would depend on the other images of the batch."""
        alone = loaded.signatures["embed"](image=tf.constant(image[:1]))
        np.testing.assert_allclose(alone["embedding"], answer["embedding"][:1], atol=1e-5)

    def test_every_kernel_is_there_once_and_the_head_is_not(self, model, folder):
        constants = [
            tf.make_ndarray(node.attr["value"].tensor).tobytes()
            for node in nodes(folder)
            if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum
        ]
        weights = [*model.backbone.trainable_weights, *model.embedding.trainable_weights]
        kernels = [one.numpy() for one in weights if one.ndim > 1]
        assert len(kernels) == 2
        assert [constants.count(one.tobytes()) for one in kernels] == [1] * len(kernels)
        assert model.head.trainable_weights[0].numpy().tobytes() not in constants

    def test_nothing_in_the_graph_opens_a_file(self, folder):
        assert FORBIDDEN_OPS.isdisjoint(node.op for node in nodes(folder))

    def test_no_trace_of_the_process(self, model, folder, tmp_path):
        """What TensorFlow counts in a process (functions, tensors) has gone on since `folder`."""
        serving.export_saved_model(model, tmp_path / "again", thresholds=make_thresholds(model))
        assert digest(tmp_path / "again") == digest(folder)
        assert "fingerprint.pb" not in digest(folder)

    @pytest.mark.slow
    def test_another_process_writes_the_same_bytes(self, tmp_path):
        code = (
            "import sys; from tests import served; from facezoo import serving;"
            "serving.export_saved_model(served.make_model(), sys.argv[1])"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "other")], check=True)
        serving.export_saved_model(make_network(), tmp_path / "one")
        assert digest(tmp_path / "other") == digest(tmp_path / "one")


class TestWarmup:
    def test_requests_are_written_in_real_protos(self, tmp_path, image, answer):
        serving.write_warmup(tmp_path, [serving.Request("embed", {"image": image}, answer)])
        (record,) = read_records(tmp_path / WARMUP)
        log = prediction_log_pb2.PredictionLog.FromString(record).predict_log
        assert log.request.model_spec.signature_name == "embed"
        np.testing.assert_array_equal(tf.make_ndarray(log.request.inputs["image"]), image)
        for name, values in answer.items():
            np.testing.assert_array_equal(tf.make_ndarray(log.response.outputs[name]), values)

    def test_the_same_requests_give_the_same_bytes(self, tmp_path, image, answer):
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            request = serving.Request("embed", {"image": image}, answer)
            serving.write_warmup(tmp_path / name, [request])
        assert digest(tmp_path / "one") == digest(tmp_path / "other")

    @pytest.mark.parametrize("number", [0, 1001])
    def test_as_many_as_the_server_takes(self, tmp_path, image, answer, number):
        requests = [serving.Request("embed", {"image": image}, answer)] * number
        with pytest.raises(ValueError, match=rf"1 to 1000 warm-up requests.*{number}"):
            serving.write_warmup(tmp_path, requests)


class TestServedModel:
    def test_embeds_pixels(self, served, photographs, answer):
        found = served(np.stack([decode_rgb(one) for one in photographs[:2]]))
        np.testing.assert_allclose(found["embedding"], answer["embedding"][:2], atol=1e-5)
        np.testing.assert_allclose(found["norm"], answer["norm"][:2], atol=1e-5)

    def test_embeds_bytes(self, served, photographs, answer):
        found = served.embed_bytes([b"none", *photographs])
        assert found["valid"].tolist() == [False, True, True, True]
        np.testing.assert_allclose(found["embedding"][1:], answer["embedding"], atol=1e-5)
        assert served.embed_bytes([])["embedding"].shape == (0, DIM)

    def test_says_what_it_is(self, served, model):
        assert served.fingerprint() == model_fingerprint(model)
        assert served.preset is None
        assert served.info == {
            "name": "facezoo",
            "model": model_fingerprint(model),
            "preprocessing": model.preprocessing.fingerprint(),
            "distance": "squared_l2",
            "alignment": "none",
            "thresholds": make_thresholds(model),
            "byte_scale": pytest.approx(facezoo.ops.uniform_scale(DIM)),
        }

    def test_brings_the_preset(self, folder, tmp_path):
        copy = tmp_path / "1"
        shutil.copytree(folder, copy)
        (copy / "assets.extra").mkdir()
        (copy / "assets.extra" / "preset.json").write_text('{"name": "tiny"}')
        assert serving.load(copy).preset == {"name": "tiny"}

    @pytest.mark.parametrize(
        "pixels", [np.zeros((2, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8)]
    )
    def test_refuses_what_is_no_batch_of_pixels(self, served, pixels):
        with pytest.raises(ValueError, match=r"uint8 \[N, H, W, 3\]"):
            served(pixels)

    def test_says_where_there_is_no_model(self, tmp_path):
        with pytest.raises(ValueError, match=r"saved_model\.pb"):
            serving.load(tmp_path)

    @pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.index"])
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

    def test_asks_to_export_an_older_model_again(self, tmp_path):
        spec = tf.TensorSpec([None], tf.uint8, "image")
        old = tf.function(lambda image: {"norm": image}, input_signature=[spec])
        tf.saved_model.save(tf.Module(), str(tmp_path), signatures={"embed_image": old})
        with pytest.raises(ValueError, match="older version .* 'info'. Export the model again"):
            serving.load(tmp_path)
