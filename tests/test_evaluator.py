"""Evaluator: scores, files and the verdict; and the Beam stage that embeds the shards."""

import json

import apache_beam as beam
import numpy as np
import pytest

from facezoo import evaluation
from facezoo.data.dataset import image_dataset
from facezoo.data.examples import encode_example, parse_example
from facezoo.data.pairs import pair_indices
from facezoo.data.records import RecordWriter, read_records
from facezoo.data.schema import FaceRecord
from facezoo.evaluation.picture_slices import measure, sort_into_thirds
from facezoo.evaluation.scores import score_pairs
from facezoo.models import FaceModel, model_fingerprint
from facezoo.ops import uniform_scale
from pipelines import embedding, holdout
from pipelines.artifacts import Model, ModelBlessing, ModelEvaluation
from pipelines.component import Channel, ComponentError, Context
from pipelines.components.evaluator import (
    Evaluator,
    Params,
    judge,
    read_labels,
)
from pipelines.evaluation_pictures import write_pictures
from tests.hues import HUE_AXES, write_examples, write_model

_FILES = {
    "distances.png",
    "metrics.json",
    "roc.png",
    "tensorboard/model/events.out.tfevents.0.facezoo",
    "tensorboard/pixel/events.out.tfevents.0.facezoo",
    "tensorboard/untrained/events.out.tfevents.0.facezoo",
    "thresholds.json",
}


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(folder, examples, model, baseline=None, uncurated=None, **params):
    outputs = {
        "evaluation": ModelEvaluation(folder / "evaluation"),
        "blessing": ModelBlessing(folder / "blessing"),
    }
    for output in outputs.values():
        output.uri.mkdir(parents=True)
    channel = Channel(None, "any")
    component = Evaluator(Params(**params), transformed_examples=channel, model=channel)
    inputs = {"transformed_examples": examples, "model": model, "baseline_model": baseline}
    inputs["uncurated_model"] = uncurated
    counts = component.run(inputs, outputs, Context(folder / "serving"))
    return outputs["evaluation"].uri, outputs["blessing"], counts


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("in") / "examples", [5, 4, 6, 5, 4, 5])


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("in") / "good")


@pytest.fixture(scope="module")
def worse(tmp_path_factory):
    # It takes a little of the light for hue: better than pixels, worse than hue alone.
    axes = HUE_AXES + np.array([[0.0, 0.2]] * 3, np.float32)
    return write_model(tmp_path_factory.mktemp("in") / "worse", axes)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, examples, good):
    before = files(examples.uri) | files(good.uri)
    result = run(tmp_path_factory.mktemp("out"), examples, good, batch_size=4, num_folds=3)
    assert files(examples.uri) | files(good.uri) == before, "an input was changed"
    return result


@pytest.fixture(scope="module")
def compared(tmp_path_factory, examples, good, worse):
    return run(tmp_path_factory.mktemp("out"), examples, worse, baseline=good)


def read(folder, name):
    return json.loads((folder / name).read_text("utf-8"))


def test_writes_what_it_declares_and_nothing_else(evaluated, tmp_path_factory):
    folder, blessing, counts = evaluated
    assert set(files(folder)) == _FILES
    assert {path.name for path in folder.iterdir()} == {name.split("/")[0] for name in _FILES}
    assert files(blessing.uri) == {"BLESSED": b""}
    expected = {"people": 6, "images": 29, "pairs": 29 * 28 // 2, "AUC": 1.0, "blessed": 1}
    assert counts == expected


def test_blesses_what_beats_pixels_and_the_untrained_network(evaluated):
    folder, blessing, _ = evaluated
    found = read(folder, "metrics.json")
    assert found["model"]["auc"] == 1.0
    assert 0.5 < found["pixel"]["auc"] < 0.95
    assert 0.5 < found["untrained"]["auc"] < 0.95
    assert found["baseline_model"] is None and found["uncurated_model"] is None
    assert (found["num_identities"], found["num_images"]) == (6, 29)
    assert found["num_genuine"] == 10 + 6 + 15 + 10 + 6 + 10
    assert found["blessed"] is True
    assert len(found["reasons"]) == 2
    assert blessing.properties["blessed"] == 1
    assert (blessing.properties["current_model"], blessing.properties["baseline_model"]) == (
        "good",
        "",
    )


def test_slices_are_those_of_the_pictures_at_one_threshold(compared, examples, worse):
    found = read(compared[0], "metrics.json")
    model = FaceModel.from_preset(worse.uri)
    dataset = image_dataset(examples.shards("eval"), model.preprocessing, batch_size=7)
    embedding, label = evaluation.embed_dataset(model, dataset)
    records = [one for shard in examples.shards("eval") for one in read_records(shard)]
    encoded = [parse_example(one).encoded for one in records]
    pictures = evaluation.decode_batch(encoded, model.preprocessing).numpy()
    slices = sort_into_thirds(
        np.array([measure(one) for one in pictures]), np.concatenate(pair_indices(label))
    )
    pairs, points = score_pairs(embedding, label), found["model"]["operating_points"]
    assert found["slice_point"] == points[-1]["name"]
    assert len(found["slices"]) == 9
    for row in found["slices"]:
        part = slices[row["slice"]] == row["value"]
        accepted = pairs.distance[part] <= points[-1]["threshold"] + 1e-6
        same = pairs.same[part]
        assert (row["num_genuine"], row["num_impostor"]) == (same.sum(), (~same).sum())
        assert row["val"] == pytest.approx(accepted[same].mean())
        assert row["far"] == pytest.approx(accepted[~same].mean())


def test_one_byte_per_number_is_priced_at_the_scale_of_the_exported_model(compared):
    found = read(compared[0], "metrics.json")
    (row,) = found["quantization"]
    assert (row["bytes"], row["scale"]) == (2, uniform_scale(2))
    assert row["auc_float"] == pytest.approx(found["model"]["auc"])
    assert row["auc_bytes"] == pytest.approx(row["auc_float"], abs=0.02)


def test_scores_are_those_of_the_images_as_training_reads_them(compared, examples, good, worse):
    found = read(compared[0], "metrics.json")
    for name, artifact in (("model", worse), ("baseline_model", good)):
        model = FaceModel.from_preset(artifact.uri)
        dataset = image_dataset(examples.shards("eval"), model.preprocessing, batch_size=7)
        expected = evaluation.evaluate_embedding(*evaluation.embed_dataset(model, dataset))
        for key in ("auc", "eer", "accuracy", "val_at_far_1e-2", "num_genuine", "num_folds"):
            assert found[name][key] == pytest.approx(expected[key], abs=1e-9)
        for row, point in zip(
            found[name]["operating_points"], expected["operating_points"], strict=True
        ):
            assert row["threshold"] == pytest.approx(point["threshold"], abs=1e-5)


def test_thresholds_are_bound_to_the_preprocessing_and_say_where_they_come_from(evaluated, good):
    table = read(evaluated[0], "thresholds.json")
    expected = FaceModel.from_preset(good.uri).preprocessing.fingerprint()
    assert table["preprocessing"] == expected
    assert table["model"] == model_fingerprint(FaceModel.from_preset(good.uri))
    for name in ("chosen_on", "tested_on"):
        assert table[name].endswith("3 people: half of split eval of hues")
    for point in table["operating_points"]:
        assert 0.0 <= point["threshold"] <= 4.0
        assert point["far_interval"][0] <= point["far"] <= point["far_interval"][1]


def test_same_inputs_give_the_same_bytes_with_no_path_and_no_time_in_them(
    evaluated, examples, good, tmp_path
):
    folder, blessing, _ = evaluated
    again, blessing_again, _ = run(tmp_path, examples, good, batch_size=4, num_folds=3)
    assert files(again) == files(folder)
    assert blessing_again.properties == blessing.properties
    for content in files(again).values():
        assert str(tmp_path).encode() not in content


def test_a_worse_candidate_than_the_last_blessed_model_is_not_blessed(compared):
    folder, blessing, _ = compared
    found = read(folder, "metrics.json")
    assert found["pixel"]["auc"] < found["model"]["auc"] < found["baseline_model"]["auc"] == 1.0
    assert found["untrained"]["auc"] < found["model"]["auc"], "only the baseline must be better"
    assert found["blessed"] is False
    assert files(blessing.uri) == {"NOT_BLESSED": b""}
    assert blessing.properties["blessed"] == 0
    assert blessing.properties["baseline_model"] == "good"
    assert "is not above 1.0000 of the last blessed model" in blessing.properties["reasons"]
    assert (folder / "tensorboard" / "baseline_model").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("first, blessed", [("good", True), ("worse", True), ("better", False)])
def test_a_second_round_is_blessed_if_it_is_not_worse_than_the_first(
    examples, good, worse, tmp_path, first, blessed
):
    second = worse if first == "better" else good
    uncurated = {"good": good, "worse": worse, "better": good}[first]
    folder, blessing, _ = run(tmp_path, examples, second, uncurated=uncurated)
    found = read(folder, "metrics.json")
    assert found["blessed"] is blessed and blessing.properties["blessed"] == int(blessed)
    expected = f"{found['uncurated_model']['auc']:.4f} of the model before curation"
    assert expected in blessing.properties["reasons"]
    assert (folder / "tensorboard" / "uncurated_model").is_dir()


def test_a_better_candidate_than_the_last_blessed_model_is_blessed(examples, good, worse, tmp_path):
    _, blessing, _ = run(tmp_path, examples, good, baseline=worse)
    assert files(blessing.uri) == {"BLESSED": b""}


@pytest.mark.parametrize(
    "rivals, min_auc, blessed",
    [
        ({"pixel": 0.8, "untrained": 0.7}, 0.0, True),
        ({"pixel": 0.9, "untrained": 0.7}, 0.0, False),
        ({"pixel": 0.8, "untrained": 0.95}, 0.0, False),
        ({"pixel": 0.8, "untrained": 0.7, "baseline_model": 0.89}, 0.0, True),
        ({"pixel": 0.8, "untrained": 0.7, "baseline_model": 0.9}, 0.0, False),
        ({"pixel": 0.8, "untrained": 0.7, "uncurated_model": 0.9}, 0.0, True),
        ({"pixel": 0.8, "untrained": 0.7, "uncurated_model": 0.91}, 0.0, False),
        ({"pixel": 0.8, "untrained": 0.7}, 0.9, True),
        ({"pixel": 0.8, "untrained": 0.7}, 0.91, False),
    ],
)
def test_judge_wants_strictly_more_than_every_rival_and_min_auc(rivals, min_auc, blessed):
    verdict, reasons = judge({"model": 0.9, **rivals}, min_auc)
    assert verdict is blessed
    assert sum("is not above" in reason or "is below" in reason for reason in reasons) == (
        not blessed
    )
    assert len([reason for reason in reasons if " of the " in reason]) == len(rivals)


@pytest.mark.parametrize(
    "num_images, words",
    [([5], "5 images of 1 people"), ([1, 1, 1], "3 images of 3 people"), ([], "0 images")],
)
def test_a_split_without_pairs_of_both_kinds_is_refused(tmp_path, good, num_images, words):
    examples = write_examples(tmp_path / "examples", num_images)
    with pytest.raises(ComponentError, match=f"eval split cannot be scored.*{words}"):
        run(tmp_path / "out", examples, good)


def test_two_people_are_scored_without_an_accuracy(tmp_path, good):
    examples = write_examples(tmp_path / "examples", [2, 1], shards=1)
    folder, _, _ = run(tmp_path / "out", examples, good)
    found = read(folder, "metrics.json")["model"]
    assert (found["auc"], found["accuracy"], found["num_folds"]) == (1.0, None, 0)


def test_a_model_of_another_preprocessing_is_refused(tmp_path, examples, good):
    model = write_model(tmp_path / "model")
    preset = read(model.uri, "preset.json")
    preset["preprocessing"]["standardization"] = "per_image"
    (model.uri / "preset.json").write_text(json.dumps(preset), "utf-8")
    with pytest.raises(ComponentError, match="cannot be scored.*another preprocessing"):
        run(tmp_path / "model_out", examples, model)
    with pytest.raises(ComponentError, match="cannot be scored.*another preprocessing"):
        run(tmp_path / "baseline_out", examples, good, baseline=model)


def test_a_missing_or_damaged_model_is_refused(tmp_path, examples):
    with pytest.raises(ComponentError, match="cannot be scored"):
        run(tmp_path / "missing_out", examples, Model(tmp_path / "nothing"))
    model = write_model(tmp_path / "model")
    (model.uri / "model.keras").write_bytes(b"no zip")
    with pytest.raises(ComponentError, match="cannot be scored"):
        run(tmp_path / "damaged_out", examples, model)


def test_a_model_whose_training_diverged_is_refused(tmp_path, examples):
    model = write_model(tmp_path / "model", np.full((3, 2), np.nan, np.float32))
    with pytest.raises(ComponentError, match="trained model are not finite"):
        run(tmp_path / "out", examples, model)


def test_a_damaged_record_stops_the_run(tmp_path, good):
    examples = write_examples(tmp_path / "examples", [3, 3])
    shard = examples.shards("eval")[1]
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(ComponentError, match="cannot be read"):
        run(tmp_path / "out", examples, good)


def test_an_image_that_cannot_be_decoded_stops_the_run(tmp_path, good):
    examples = write_examples(tmp_path / "examples", [3, 3], shards=1)
    (shard,) = examples.shards("eval")
    bad = FaceRecord(b"no image", "png", 1, 1, "x", "p0", 30, "hues")
    with RecordWriter(shard.with_name("data_tfrecord-00001-of-00002")) as writer:
        writer.write(encode_example(bad))
    with pytest.raises(Exception, match="Unknown image file format|decode"):
        run(tmp_path / "out", examples, good)


def test_lost_records_stop_the_run(tmp_path, examples, good, monkeypatch):
    def lossy(shard, batch_size):
        for key, batch in read_batches(shard, batch_size):
            yield key, batch[1:]

    read_batches = embedding.read_batches
    monkeypatch.setattr(embedding, "read_batches", lossy)
    with pytest.raises(ComponentError, match="Beam lost records: 29 lie .* 27 were embedded"):
        run(tmp_path, examples, good)


def test_the_model_comes_first_in_the_plot(tmp_path, monkeypatch):
    drawn = []
    plot = evaluation.plot_roc
    monkeypatch.setattr(evaluation, "plot_roc", lambda *a: drawn.append(list(a[0])) or plot(*a))
    generator = np.random.default_rng(0)
    label = np.repeat(np.arange(4), 3)
    embeddings = {name: generator.normal(size=(12, 4)) for name in ("pixel", "untrained", "model")}
    scores = {
        name: evaluation.evaluate_embedding(one, label, 2) for name, one in embeddings.items()
    }
    write_pictures(tmp_path, embeddings, label, scores, "title")
    assert drawn == [["trained model", "raw pixels", "untrained network"]]


def test_labels_are_read_in_the_order_of_the_shards(examples):
    label, datasets = read_labels(examples.shards("eval"))
    written = np.repeat(np.arange(30, 36), [5, 4, 6, 5, 4, 5])
    np.testing.assert_array_equal(label, np.concatenate([written[0::2], written[1::2]]))
    assert datasets == "hues"


def test_batches_keep_the_order_and_lose_nothing(examples):
    shard = str(examples.shards("eval")[0])
    batches = list(embedding.read_batches((3, shard), 4))
    assert [key for key, _ in batches] == [(3, 0), (3, 1), (3, 2), (3, 3)]
    assert [len(batch) for _, batch in batches] == [4, 4, 4, 3]
    labels = [record.label for _, batch in batches for record in batch]
    assert labels == read_labels([shard])[0].tolist()


def test_columns_are_put_together_by_key_whatever_order_they_come_in(tmp_path):
    batches = [((1, 0), {"a": np.array([4])}), ((0, 10), {"a": np.array([3])})]
    batches += [((0, 2), {"a": np.array([1, 2])})]
    embedding.write_columns(batches, str(tmp_path / "columns.npz"))
    assert np.load(tmp_path / "columns.npz")["a"].tolist() == [1, 2, 3, 4]


def test_holdout_is_written_of_every_system_where_it_is_asked_for(tmp_path, examples, good):
    folder, _, _ = run(tmp_path, examples, good, num_splits=2)
    assert set(files(folder)) == _FILES | {"holdout.json"}
    found = read(folder, "holdout.json")
    assert list(found["systems"]) == ["model", "pixel", "untrained"]
    deal = {key: found[key] for key in ("kind", "num_splits", "disjoint", "seed")}
    assert deal == {"kind": "holdout", "num_splits": 2, "disjoint": "identity", "seed": 0}
    model = FaceModel.from_preset(good.uri)
    dataset = image_dataset(examples.shards("eval"), model.preprocessing, batch_size=7)
    embedded, label = evaluation.embed_dataset(model, dataset)
    splits = evaluation.holdout_splits(label, 2)
    expected = evaluation.evaluate_holdout(embedded, label, splits, 0.1, allow_few=True)
    assert found["systems"]["model"]["auc"] == pytest.approx(expected.auc[0])
    fewest = min(split.num_impostor for split in expected.splits)
    (point,) = found["systems"]["model"]["val_at_far"]
    refused = f"{fewest} impostor pairs of a split are too few: below 10 / 0.001"
    assert point == {"target": 0.001, "refused": refused}


def unit_embeddings(num_people=44, num_images=10):
    generator = np.random.default_rng(0)
    center = np.repeat(generator.normal(size=(num_people, 8)), num_images, axis=0)
    features = center + 0.4 * generator.normal(size=center.shape)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return unit.astype(np.float32), np.repeat(np.arange(num_people), num_images)


def test_beam_scores_all_pairs_of_splits_as_one_process_does(tmp_path):
    embedded, label = unit_embeddings()
    flat = embedded.copy()
    # As pixels give for a picture of one colour.
    flat[7] = 0.0
    both = {"model": embedded, "pixel": flat}
    found = holdout.score_holdout(both, label, 2, tmp_path, Context(tmp_path))["systems"]
    splits = evaluation.holdout_splits(label, 2)
    expected = evaluation.evaluate_holdout(embedded, label, splits, 1e-3)
    (point,) = found["model"]["val_at_far"]
    assert (point["val"], point["val_standard_error"]) == expected.val
    assert (point["macro_val"], point["macro_val_standard_error"]) == expected.macro_val
    assert (found["model"]["auc"], found["model"]["auc_standard_error"]) == expected.auc
    thresholds = [split.point.threshold for split in expected.splits]
    assert [row["threshold"] for row in point["splits"]] == thresholds
    assert 0.0 < point["val"] < 1.0 and point["val_standard_error"] > 0.0
    assert found["pixel"]["val_at_far"][0]["val"] < point["val"]
    assert list(tmp_path.iterdir()) == []


def test_a_split_that_gets_lost_stops_the_run(tmp_path, monkeypatch):
    class Lossy(holdout.CountPairs):
        def expand(self, paths):
            return super().expand(paths | beam.Filter(lambda path: "model-1" not in path))

    monkeypatch.setattr(holdout, "CountPairs", Lossy)
    embedded, label = unit_embeddings(8, 4)
    with pytest.raises(ComponentError, match="Beam lost 1 of 2 splits"):
        holdout.score_holdout({"model": embedded}, label, 2, tmp_path, Context(tmp_path))


def test_more_splits_than_the_people_suffice_for_are_refused_at_once(tmp_path, examples, good):
    for num_splits, words in ((7, "num_splits must be from 2 to 6"), (6, "no impostor pair")):
        folder = tmp_path / str(num_splits)
        with pytest.raises(ComponentError, match=f"num_splits={num_splits} is too much.*{words}"):
            run(folder, examples, good, num_splits=num_splits)
        assert files(folder) == {}


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"num_folds": 1}, {"min_auc": 1.5}, {"num_splits": 1}, {"num_splits": -2}],
)
def test_parameters_out_of_range_raise(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be .* Received"):
        Params(**wrong)
