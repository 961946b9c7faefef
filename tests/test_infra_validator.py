"""InfraValidator: blesses what a server can run and answers as Keras does, and nothing else."""

import hashlib
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import facezoo
from facezoo import serving
from facezoo.backbones import MobileFaceNet
from facezoo.data.examples import encode_example
from facezoo.data.records import RecordWriter, read_records
from facezoo.data.schema import FaceRecord
from pipelines.artifacts import Examples, InfraBlessing, Model
from pipelines.component import Channel, ComponentError, Context
from pipelines.components import infra_validator
from pipelines.components.infra_validator import InfraValidator, Params

WARMUP = "assets.extra/tf_serving_warmup_requests"
STANDARDIZATION = "fixed"


def make_model(standardization):
    keras.utils.set_random_seed(0)
    backbone = MobileFaceNet(**MobileFaceNet.TINY, name="tiny")
    height, width, _ = backbone.image_shape
    preprocessing = facezoo.Preprocessing(height, width, standardization)
    return facezoo.create_model(backbone, embedding_dim=6, preprocessing=preprocessing)


def write_split(folder, number):
    """Writes photographs of two sizes."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    with RecordWriter(folder / "data_tfrecord-00000-of-00001") as writer:
        for label in range(number):
            height, width = (20, 24) if label % 2 else (16, 18)
            png = tf.io.encode_png(random.integers(0, 256, (height, width, 3), np.uint8)).numpy()
            record = FaceRecord(png, "png", height, width, f"{label}.png", "a", label, "test")
            writer.write(encode_example(record))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    model = make_model(STANDARDIZATION)
    folder = tmp_path_factory.mktemp("model")
    model.save_preset(folder)
    serving.export_saved_model(model, folder / "Format-Serving")
    return Model(folder)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    write_split(folder / "Split-train", 1)
    write_split(folder / "Split-eval", 6)
    return Examples(folder, {"split_names": '["train", "eval"]'})


@pytest.fixture
def broken_model(model, tmp_path):
    """A copy to break."""
    shutil.copytree(model.uri, tmp_path / "model")
    return Model(tmp_path / "model")


def run(model, examples, folder, **params):
    """Runs the component; returns what it put out, and its counts."""
    folder.mkdir()
    blessing = InfraBlessing(folder)
    component = InfraValidator(
        Params(**{"num_photographs": 4, **params}),
        model=Channel(None, "model"),
        transformed_examples=Channel(None, "transformed_examples"),
    )
    inputs = {"model": model, "transformed_examples": examples}
    counts = component.run(inputs, {"blessing": blessing}, Context(folder))
    return blessing, counts


def digest(folder):
    """Digest of every file by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def not_blessed(blessing):
    """Checks all signs of a refusal; returns the reason."""
    assert (blessing.uri / "INFRA_NOT_BLESSED").is_file()
    assert not (blessing.uri / "INFRA_BLESSED").exists()
    assert not (blessing.uri / "stamped_model").exists()
    report = json.loads((blessing.uri / "report.json").read_text())
    reason = report["reason"]
    assert report["blessed"] is False
    assert blessing.properties == {"blessed": 0, "has_model": 0, "reason": reason}
    return reason


def test_a_good_model_is_blessed_and_stamped(model, examples, tmp_path):
    before = digest(model.uri), digest(examples.uri)
    blessing, counts = run(model, examples, tmp_path / "out")
    assert (blessing.uri / "INFRA_BLESSED").read_bytes() == b""
    assert not (blessing.uri / "INFRA_NOT_BLESSED").exists()
    assert blessing.properties == {"blessed": 1, "has_model": 1}
    report = json.loads((blessing.uri / "report.json").read_text())
    assert report["blessed"] is True
    assert set(report["signatures"]) == {"serving_default", "embed_bytes", "embed_image", "embed"}
    assert all(one["max_difference"] <= 1e-5 for one in report["signatures"].values())
    # Of the four photographs two have one size and two another.
    assert (counts["requests"], counts["signatures"], counts["blessed"]) == (5, 4, 1)
    stamped = digest(blessing.uri / "stamped_model")
    assert len(list(read_records(blessing.uri / "stamped_model" / WARMUP))) == 5
    del stamped[WARMUP]
    assert stamped == digest(model.uri / "Format-Serving")
    assert (digest(model.uri), digest(examples.uri)) == before
    everything = b"".join(path.read_bytes() for path in blessing.uri.glob("*.json"))
    assert str(tmp_path).encode() not in everything


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(model, examples, tmp_path):
    one, counts = run(model, examples, tmp_path / "one")
    other, counts_again = run(model, examples, tmp_path / "other")
    assert digest(one.uri) == digest(other.uri)
    assert (one.properties, counts) == (other.properties, counts_again)


@pytest.mark.slow
def test_images_prepared_otherwise_than_in_training_are_found_out(broken_model, examples, tmp_path):
    shutil.rmtree(broken_model.uri / "Format-Serving")
    other = make_model("per_image")
    other.set_weights(facezoo.FaceModel.from_preset(broken_model.uri).get_weights())
    serving.export_saved_model(other, broken_model.uri / "Format-Serving")
    blessing, counts = run(broken_model, examples, tmp_path / "out")
    reason = not_blessed(blessing)
    assert "differs from the Keras model by" in reason
    assert counts["blessed"] == 0
    assert counts["reason"] == reason


def test_a_cut_off_model_is_not_blessed(broken_model, examples, tmp_path):
    path = broken_model.uri / "Format-Serving" / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:-1000])
    blessing, _ = run(broken_model, examples, tmp_path / "out")
    reason = not_blessed(blessing)
    assert "The SavedModel cannot be loaded" in reason
    assert str(tmp_path) not in reason


@pytest.mark.slow
def test_a_model_without_weights_is_not_blessed(broken_model, examples, tmp_path):
    shutil.rmtree(broken_model.uri / "Format-Serving" / "variables")
    blessing, _ = run(broken_model, examples, tmp_path / "out")
    assert "Could not find variable" in not_blessed(blessing)


def test_a_model_that_was_not_exported_is_not_blessed(broken_model, examples, tmp_path):
    shutil.rmtree(broken_model.uri / "Format-Serving")
    blessing, _ = run(broken_model, examples, tmp_path / "out")
    assert not_blessed(blessing) == "The model has no Format-Serving/."


def test_a_model_that_does_not_answer_is_not_blessed(model, examples, tmp_path):
    blessing, _ = run(model, examples, tmp_path / "out", timeout=0.01)
    assert not_blessed(blessing) == "It did not answer within 0.01 seconds."


def test_a_model_that_kills_its_server_is_not_blessed(model, examples, tmp_path, monkeypatch):
    loader = tmp_path / "loader.py"
    loader.write_text("import os; os.kill(os.getpid(), 11)")
    monkeypatch.setattr(infra_validator, "_LOADER", loader)
    blessing, _ = run(model, examples, tmp_path / "out")
    assert not_blessed(blessing) == "The process that loaded it died of signal 11."


@pytest.mark.parametrize("measure", ["max_difference", "max_norm_error"])
@pytest.mark.parametrize("value", [1.1e-5, float("nan")])
def test_tolerance(measure, value):
    good = {"max_difference": 1e-5, "max_norm_error": 1e-5}
    infra_validator.judge({"embed": good}, 1e-5)
    with pytest.raises(infra_validator.NotServableError, match="embed .* 1e-05 is allowed"):
        infra_validator.judge({"embed": {**good, measure: value}}, 1e-5)


def test_an_empty_eval_split_stops_the_run(model, tmp_path):
    write_split(tmp_path / "examples" / "Split-eval", 0)
    with pytest.raises(ComponentError, match="eval split is empty"):
        run(model, Examples(tmp_path / "examples"), tmp_path / "out")


@pytest.mark.parametrize("size", [0, 3000])
def test_an_unreadable_keras_model_stops_the_run(broken_model, examples, tmp_path, size):
    path = broken_model.uri / "model.keras"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ComponentError, match="The Keras model in .* cannot be loaded"):
        run(broken_model, examples, tmp_path / "out")


@pytest.mark.parametrize(
    "params", [{"num_photographs": 0}, {"num_photographs": 257}, {"tolerance": 0}, {"timeout": -1}]
)
def test_params_out_of_range(params):
    with pytest.raises(ValueError, match=f"{next(iter(params))} must be"):
        Params(**params)
