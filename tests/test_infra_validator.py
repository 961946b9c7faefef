"""InfraValidator: blesses what a server can run and answers as Keras does, and nothing else."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import facezoo
from facezoo import serving
from facezoo.data.examples import encode_example
from facezoo.data.records import RecordWriter, read_records
from facezoo.data.schema import FaceRecord
from pipelines import serving_trial
from pipelines.artifacts import Examples, InfraBlessing, Model, ModelEvaluation
from pipelines.component import Channel, ComponentError, Context
from pipelines.components.infra_validator import InfraValidator, Params
from tests import served

WARMUP = "assets.extra/tf_serving_warmup_requests"


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
    model = served.make_model()
    folder = tmp_path_factory.mktemp("model")
    model.save_preset(folder)
    serving.export_saved_model(model, folder / "Format-Serving")
    return Model(folder)


def write_thresholds(folder, thresholds):
    folder.mkdir(exist_ok=True)
    (folder / "thresholds.json").write_text(json.dumps(thresholds))
    return ModelEvaluation(folder)


@pytest.fixture(scope="module")
def evaluation(model, tmp_path_factory):
    thresholds = served.make_thresholds(facezoo.FaceModel.from_preset(model.uri))
    return write_thresholds(tmp_path_factory.mktemp("evaluation"), thresholds)


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


@pytest.fixture
def run(examples, evaluation):
    """Runs the component; returns what it put out, and its counts."""

    def run(model, folder, examples=examples, evaluation=evaluation, **params):
        folder.mkdir()
        blessing = InfraBlessing(folder)
        channels = {key: Channel(None, key) for key in InfraValidator.INPUTS}
        component = InfraValidator(Params(**{"num_photographs": 4, **params}), **channels)
        inputs = {"model": model, "transformed_examples": examples, "evaluation": evaluation}
        return blessing, component.run(inputs, {"blessing": blessing}, Context(folder))

    return run


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


def test_a_good_model_is_blessed_and_stamped(run, model, examples, evaluation, tmp_path):
    before = digest(model.uri), digest(examples.uri), digest(evaluation.uri)
    blessing, counts = run(model, tmp_path / "out")
    report = json.loads((blessing.uri / "report.json").read_text())
    assert report["reason"] is None
    assert (blessing.uri / "INFRA_BLESSED").read_bytes() == b""
    assert not (blessing.uri / "INFRA_NOT_BLESSED").exists()
    assert blessing.properties == {"blessed": 1, "has_model": 1}
    assert set(report["signatures"]) == served.SIGNATURES
    for found in report["signatures"].values():
        assert set(found) == {"requests", "max_difference", "max_norm_error"}
        assert found["max_difference"] <= 1e-5
    # Of the four photographs two have one size and two another.
    assert (counts["requests"], counts["signatures"], counts["blessed"]) == (10, 9, 1)
    assert (digest(model.uri), digest(examples.uri), digest(evaluation.uri)) == before
    everything = b"".join(path.read_bytes() for path in blessing.uri.glob("*.json"))
    assert str(tmp_path).encode() not in everything
    check_stamped(blessing.uri / "stamped_model", model, evaluation)


def check_stamped(stamped, model, evaluation):
    """The model's own SavedModel, with the thresholds in it and beside it."""
    thresholds = json.loads((evaluation.uri / "thresholds.json").read_text())
    assert serving.load(stamped).info["thresholds"] == thresholds
    preset = json.loads((model.uri / "preset.json").read_text())
    stored = json.loads((stamped / "assets.extra" / "preset.json").read_text())
    assert stored == {**preset, "thresholds": thresholds}
    assert len(list(read_records(stamped / WARMUP))) == 10
    others, source = digest(stamped), digest(model.uri / "Format-Serving")
    for name in (WARMUP, "assets.extra/preset.json", "saved_model.pb"):
        del others[name]
    del source["saved_model.pb"]
    assert others == source


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(run, model, tmp_path):
    one, counts = run(model, tmp_path / "one")
    other, counts_again = run(model, tmp_path / "other")
    assert digest(one.uri) == digest(other.uri)
    assert (one.properties, counts) == (other.properties, counts_again)


@pytest.mark.slow
def test_images_prepared_otherwise_than_in_training_are_found_out(
    run, model, broken_model, tmp_path, monkeypatch
):
    """By a graph that says that it prepares them so: no fingerprint can tell."""
    shutil.rmtree(broken_model.uri / "Format-Serving")
    with monkeypatch.context() as patch:
        patch.setattr(
            facezoo.Preprocessing,
            "standardize",
            lambda self, image: tf.cast(image, "float32") / 128 - 1,
        )
        keras_model = facezoo.FaceModel.from_preset(model.uri)
        serving.export_saved_model(keras_model, broken_model.uri / "Format-Serving")
    blessing, counts = run(broken_model, tmp_path / "out")
    reason = not_blessed(blessing)
    assert "differs from the Keras model by" in reason
    assert counts["blessed"] == 0
    assert counts["reason"] == reason


def test_a_cut_off_model_is_not_blessed(run, broken_model, tmp_path):
    path = broken_model.uri / "Format-Serving" / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:-1000])
    blessing, _ = run(broken_model, tmp_path / "out")
    reason = not_blessed(blessing)
    assert "cannot be read as SavedModel" in reason
    assert str(tmp_path) not in reason


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("model", "0" * 64, "thresholds were measured with another model"),
        ("preprocessing", "none", "thresholds were measured with another preprocessing"),
        ("format", 1, "thresholds are in format 1"),
    ],
)
def test_thresholds_of_another_model_are_not_served(
    run, model, evaluation, tmp_path, key, value, reason
):
    thresholds = json.loads((evaluation.uri / "thresholds.json").read_text())
    other = write_thresholds(tmp_path / "other", {**thresholds, key: value})
    blessing, counts = run(model, tmp_path / "out", evaluation=other)
    assert reason in not_blessed(blessing)
    assert (counts["requests"], counts["signatures"]) == (0, 0)


def test_a_model_of_others_is_not_blessed(run, broken_model, tmp_path):
    shutil.rmtree(broken_model.uri / "Format-Serving")
    tf.saved_model.save(tf.Module(), str(broken_model.uri / "Format-Serving"))
    blessing, _ = run(broken_model, tmp_path / "out")
    reason = not_blessed(blessing)
    assert "not one of facezoo" in reason
    assert "\n" not in reason


def test_a_model_that_was_not_exported_is_not_blessed(run, broken_model, tmp_path):
    shutil.rmtree(broken_model.uri / "Format-Serving")
    blessing, _ = run(broken_model, tmp_path / "out")
    assert not_blessed(blessing) == "The model has no Format-Serving/."


def test_a_model_that_does_not_answer_is_not_blessed(run, model, tmp_path):
    blessing, _ = run(model, tmp_path / "out", timeout=0.01)
    assert not_blessed(blessing) == "It did not answer within 0.01 seconds."


def test_a_model_that_kills_its_server_is_not_blessed(run, model, tmp_path, monkeypatch):
    loader = tmp_path / "loader.py"
    loader.write_text("import os; os.kill(os.getpid(), 11)")
    monkeypatch.setattr(serving_trial, "LOADER", loader)
    blessing, _ = run(model, tmp_path / "out")
    assert not_blessed(blessing) == "The process that loaded it died of signal 11."


@pytest.mark.parametrize("measure", ["max_difference", "max_norm_error"])
@pytest.mark.parametrize("value", [1.1e-5, float("nan")])
def test_tolerance(measure, value):
    good = {"max_difference": 1e-5, "max_norm_error": 1e-5}
    serving_trial.judge({"embed": good}, 1e-5)
    with pytest.raises(serving_trial.NotServableError, match="embed .* 1e-05 is allowed"):
        serving_trial.judge({"embed": {**good, measure: value}}, 1e-5)


def test_an_empty_eval_split_stops_the_run(run, model, tmp_path):
    write_split(tmp_path / "examples" / "Split-eval", 0)
    with pytest.raises(ComponentError, match="eval split is empty"):
        run(model, tmp_path / "out", Examples(tmp_path / "examples"))


def test_thresholds_that_cannot_be_read_stop_the_run(run, model, tmp_path):
    with pytest.raises(ComponentError, match=r"The thresholds in .* cannot be read"):
        run(model, tmp_path / "out", evaluation=ModelEvaluation(tmp_path))


@pytest.mark.parametrize("size", [0, 3000])
def test_an_unreadable_keras_model_stops_the_run(run, broken_model, tmp_path, size):
    path = broken_model.uri / "model.keras"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ComponentError, match="The Keras model in .* cannot be loaded"):
        run(broken_model, tmp_path / "out")


@pytest.mark.parametrize(
    "params", [{"num_photographs": 0}, {"num_photographs": 257}, {"tolerance": 0}, {"timeout": -1}]
)
def test_params_out_of_range(params):
    with pytest.raises(ValueError, match=f"{next(iter(params))} must be"):
        Params(**params)
