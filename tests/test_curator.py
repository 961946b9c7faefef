"""Curator: what is judged, what a plan makes of the records, and how the second round is wired."""

import csv
import json

import numpy as np
import pytest

import facezoo
from facezoo import curation
from facezoo.curation import Faces, Person
from facezoo.data.examples import encode_example, parse_example
from facezoo.data.record_index import RecordIndex
from facezoo.data.records import RecordWriter, read_records
from facezoo.data.references import Refusal
from facezoo.data.schema import FaceRecord
from facezoo.models import FaceModel, create_model
from pipelines import configs, embedding
from pipelines.artifacts import Examples
from pipelines.component import ComponentError, Context, LatestBlessedModel
from pipelines.components.curator import Curator
from pipelines.examples_folder import read_quarantine
from pipelines.face_columns import read_faces, to_faces
from pipelines.pipeline import create_pipeline
from pipelines.witness import Witness, centers_of, load_witness
from tests.checks import component as checks
from tests.hues import HUE_AXES, Colors, png, write_model

Params = Curator.Params
# Label, and hue as a share of the circle. Nobody has the labels 2 and 7: their pictures were lost.
TRAIN = {"Ann": (0, 0.0), "Bo": (1, 0.25), "Cy": (3, 0.5), "Di": (4, 0.75), "Annie": (5, 0.0)}
EVAL = {"Ed": (6, 0.1), "Flo": (8, 0.6)}
NUM_IMAGES = 4
COLUMNS = ("action", "dataset", "identity", "file", "other_dataset", "other_identity")


def records_of(people, generator):
    return [
        FaceRecord(
            *(png(6.2832 * hue, generator), "png", 20, 16, f"{name}/{i}.png"),
            *(name, label, "hues"),
        )
        for name, (label, hue) in people.items()
        for i in range(NUM_IMAGES)
    ]


def write_examples(folder, splits):
    examples = Examples(folder)
    examples.splits = list(splits)
    for split, records in splits.items():
        examples.split_dir(split).mkdir(parents=True)
        for number in range(2):
            name = f"data_tfrecord-{number:05d}-of-00002"
            with RecordWriter(examples.split_dir(split) / name) as writer:
                for record in records[number::2]:
                    writer.write(encode_example(record))
        RecordIndex.build(examples.shards(split), examples.index_dir(split))
    return examples


def clean_people():
    return {name: who for name, who in TRAIN.items() if name != "Annie"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("in") / "model")


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    generator = np.random.default_rng(0)
    splits = {"train": records_of(TRAIN, generator), "eval": records_of(EVAL, generator)}
    return write_examples(tmp_path_factory.mktemp("in") / "examples", splits)


@pytest.fixture(scope="module")
def clean_examples(tmp_path_factory):
    splits = {"train": records_of(clean_people(), np.random.default_rng(1))}
    return write_examples(tmp_path_factory.mktemp("in") / "clean", splits)


def write_csv(path, *rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return str(path)


def curate(examples, trained, folder, **params):
    component = Curator(Params(**params), **checks.channels(Curator))
    return checks.run(component, {"transformed_examples": examples, "model": trained}, folder)


def read(artifact, name):
    return json.loads((artifact.uri / name).read_text("utf-8"))


def records(examples, split):
    return [parse_example(one) for shard in examples.shards(split) for one in read_records(shard)]


@pytest.fixture(scope="module")
def curated(tmp_path_factory, examples, model):
    """The rules find that Annie is Ann, a list that Di is Bo, a person drops a picture."""
    folder = tmp_path_factory.mktemp("out")
    reviewed = write_csv(folder / "mine.csv", ("drop", "hues", "Cy", "Cy/2.png", "", ""))
    published = folder / "couples.txt"
    published.write_text("Bo Di 0.9\n")
    return curate(
        examples, model, folder / "run", reviewed=reviewed, published=str(published), apply=True
    )


@checks.each
def test_component_checks(check, tmp_path, examples, model):
    component = Curator(Params(), **checks.channels(Curator))
    check(component, {"transformed_examples": examples, "model": model}, tmp_path / "run")


class TestCleanedExamples:
    def test_merged_people_have_one_label_and_labels_no_gaps(self, curated, examples):
        expected = {"Ann": (0, "Ann"), "Bo": (1, "Bo"), "Cy": (2, "Cy"), "Di": (1, "Bo")}
        expected["Annie"] = (0, "Ann")
        before = [one for one in records(examples, "train") if one.filename != "Cy/2.png"]
        after = records(curated[0]["curated_examples"], "train")
        assert [one.filename for one in after] == [one.filename for one in before]
        for old, new in zip(before, after, strict=True):
            assert (new.label, new.identity) == expected[old.identity]
            assert (new.encoded, new.dataset) == (old.encoded, old.dataset)

    def test_the_eval_split_keeps_everything_but_its_labels(self, curated, examples):
        after = records(curated[0]["curated_examples"], "eval")
        for old, new in zip(records(examples, "eval"), after, strict=True):
            assert new.label == {"Ed": 3, "Flo": 4}[old.identity]
            assert (new.identity, new.filename) == (old.identity, old.filename)

    def test_counts_add_up_and_say_what_was_dropped(self, curated):
        cleaned = curated[0]["curated_examples"]
        counts = {"found": 28, "train": 19, "eval": 8, "quarantined": 1}
        assert read(cleaned, "counts.json") == counts
        dropped = read_quarantine(cleaned.uri / "quarantine.csv")
        assert dropped == [Refusal("Cy/2.png", "curation: duplicate_picture review")]
        people = {"train": [[0, "Ann", 8], [1, "Bo", 8], [2, "Cy", 3]]}
        people |= {"eval": [[3, "Ed", 4], [4, "Flo", 4]]}
        assert read(cleaned, "identities.json") == people

    def test_they_have_the_shape_of_their_source(self, curated, examples):
        cleaned = curated[0]["curated_examples"]
        assert cleaned.splits == examples.splits
        for split in cleaned.splits:
            names = [shard.name for shard in examples.shards(split)]
            assert [shard.name for shard in cleaned.shards(split)] == names
            index = RecordIndex.open(cleaned.index_dir(split), cleaned.shards(split))
            labels = [one.label for one in records(cleaned, split)]
            assert index.label.tolist() == labels

    def test_hard_examples_are_some_of_them(self, curated):
        hard = curated[0]["hard_examples"]
        cleaned = {one.filename: one for one in records(curated[0]["curated_examples"], "train")}
        found = records(hard, "train")
        assert found and hard.splits == ["train"]
        assert all(one == cleaned[one.filename] for one in found)
        assert len(found) == read(curated[0]["plan"], "curation.json")["counts"]["hard"]

    def test_classes_say_who_they_are_made_of(self, curated):
        plan = curated[0]["plan"]
        found = read(plan, "class_map.json")
        members = [[name for _, name in one["members"]] for one in found["classes"]]
        assert members == [["Ann", "Annie"], ["Bo", "Di"], ["Cy"]]
        assert found["plan"] == plan.properties["version"]
        assert plan.properties["version"] == read(plan, "curation.json")["version"]

    def test_a_lost_record_is_noticed(self, tmp_path, examples, model, monkeypatch):
        write = RecordWriter.write
        monkeypatch.setattr(
            RecordWriter, "write", lambda self, one: b"Bo/1" in one or write(self, one)
        )
        with pytest.raises(ComponentError, match="28 went in, 27 came out"):
            curate(examples, model, tmp_path)


class TestPlan:
    def test_it_names_decisions_and_their_evidence(self, curated):
        decisions = curation.read_plan(curated[0]["plan"].uri / "plan.jsonl")
        found = {str(one.subject): (one.action, set(one.evidence)) for one in decisions}
        assert found["hues/Annie and hues/Ann"] == ("merge", {"duplicate_person"})
        assert found["hues/Di and hues/Bo"] == ("merge", {"published_list"})
        assert curated[1]["people"] == 5 and curated[1]["merged people"] == 2
        assert curated[1]["dropped pictures"] == 1 and curated[1]["applied"] == 1

    def test_a_review_wins_over_the_rules(self, tmp_path, examples, model, curated):
        text = (curated[0]["plan"].uri / "review.csv").read_text()
        (tmp_path / "mine.csv").write_text(text.replace("merge,", "keep,"))
        outputs, counts = curate(
            examples, model, tmp_path / "run", reviewed=str(tmp_path / "mine.csv")
        )
        assert (counts["merged people"], counts["dropped pictures"]) == (0, 1)
        assert len(read(outputs["plan"], "class_map.json")["classes"]) == len(TRAIN)

    def test_the_report_is_told_nothing_of_this_machine(self, curated):
        options = read(curated[0]["plan"], "curation.json")["options"]
        assert "people" in options and "reviewed" not in options

    def test_a_review_of_other_data_is_refused(self, tmp_path, examples, model):
        reviewed = write_csv(tmp_path / "mine.csv", ("drop", "hues", "Ben", "", "", ""))
        with pytest.raises(ComponentError, match="mine.csv, line 2: .*'hues/Ben'"):
            curate(examples, model, tmp_path / "run", reviewed=reviewed)

    def test_an_empty_plan_is_not_applied(self, tmp_path, clean_examples, model):
        with pytest.raises(ComponentError, match="The plan is empty.*without curator.apply"):
            curate(clean_examples, model, tmp_path, apply=True)

    def test_a_plan_that_leaves_one_person_is_not_applied(self, tmp_path, clean_examples, model):
        rows = [("drop", "hues", name, "", "", "") for name in ("Ann", "Bo", "Cy")]
        reviewed = write_csv(tmp_path / "reviewed.csv", *rows)
        with pytest.raises(ComponentError, match="The plan leaves 1 of the people"):
            curate(clean_examples, model, tmp_path / "run", reviewed=reviewed, apply=True)


def embedded(examples, model):
    found = [FaceModel.from_preset(model.uri), records(examples, "train")]
    label = np.array([one.label for one in found[1]])
    angle = np.array([6.2832 * TRAIN[one.identity][1] for one in found[1]])
    return found[0], label, np.stack([np.cos(angle), np.sin(angle)], axis=1)


def faces_of(label):
    """Faces of two numbers, people at right angles."""
    angle = np.pi / 2 * label
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    people = tuple(Person("set", f"p{number}") for number in range(max(label) + 1))
    files = tuple(f"{number}.png" for number in range(len(label)))
    return Faces(people, label, files, unit, np.ones(len(label)))


def with_head(num_classes, rows):
    head = facezoo.create_head("cosface", num_classes=num_classes, margin=0.1, scale=8.0)
    model = create_model(Colors(), embedding_dim=2, head=head)
    head.centers.assign(np.asarray(rows, np.float32).T)
    return model


class TestWitness:
    def test_the_heads_centres_are_those_of_the_people_who_are_there(self):
        faces = faces_of(np.repeat([0, 1, 2], 3))
        # Class 1 of 4 has no picture.
        model = with_head(4, [[2, 0], [7, 7], [0, 3], [-1, 0]])
        centers, why_not = centers_of(load_like(model), faces, np.array([0, 2, 3]))
        assert why_not == ""
        np.testing.assert_allclose(centers[:, 0], [[1, 0], [0, 1], [-1, 0]], atol=1e-6)

    @pytest.mark.parametrize(
        "num_classes, rows, words",
        [
            (3, [[0, 1], [-1, 0], [1, 0]], "centre"),
            (2, [[1, 0], [0, 1]], "2 classes, the labels go to 2"),
        ],
    )
    def test_a_head_that_does_not_know_them_is_left_out(self, num_classes, rows, words):
        faces = faces_of(np.repeat([0, 1, 2], 3))
        model = load_like(with_head(num_classes, rows))
        centers, why_not = centers_of(model, faces, np.arange(3))
        assert centers is None and words in why_not

    def test_another_model_may_have_another_input_size(self, tmp_path, examples, model, curated):
        other = create_model(Colors(image_shape=(10, 8, 3)), embedding_dim=2)
        other.backbone.get_layer("mix").set_weights([np.eye(3)[None, None]])
        other.embedding.dense.set_weights([HUE_AXES, np.zeros(2)])
        other.save_preset(tmp_path / "small")
        outputs, counts = curate(examples, model, tmp_path / "run", model=str(tmp_path / "small"))
        found = read(outputs["plan"], "curation.json")
        assert found["model"]["name"] == "small"
        own = read(curated[0]["plan"], "curation.json")["model"]["witness"]
        assert found["model"]["witness"] != own
        assert "another model judges" in " ".join(found["warnings"])
        assert counts["merged people"] == 1

    @pytest.mark.parametrize(
        "name, words", [("mobilefacenet", "has no weights"), ("nowhere", "Unknown preset")]
    )
    def test_a_model_that_cannot_judge_is_refused(self, tmp_path, examples, model, name, words):
        with pytest.raises(ComponentError, match=f"cannot judge faces: .*{words}"):
            curate(examples, model, tmp_path, model=name)

    def test_faces_stand_in_the_order_of_the_records(self, examples, model, tmp_path):
        found = load_witness(str(model.uri))
        faces, labels = read_faces(examples, "train", found, 3, tmp_path, Context(tmp_path))
        expected = records(examples, "train")
        assert faces.file == tuple(one.filename for one in expected)
        assert labels.tolist() == [0, 1, 3, 4, 5]
        assert [faces.person(row).identity for row in range(20)] == [
            one.identity for one in expected
        ]
        _, _, direction = embedded(examples, model)
        assert (faces.embedding * direction).sum(axis=1).min() > 0.9
        assert faces.norm.min() > 0 and len(faces.hashes) == 20

    def test_records_that_get_lost_stop_the_run(self, tmp_path, examples, model, monkeypatch):
        read_batches = embedding.read_batches
        monkeypatch.setattr(
            embedding,
            "read_batches",
            lambda shard, size: ((key, some[1:]) for key, some in read_batches(shard, size)),
        )
        with pytest.raises(ComponentError, match="Beam lost records: 20 lie .* 18 were"):
            curate(examples, model, tmp_path)

    def test_a_label_of_two_people_is_refused(self):
        names = np.array(["Ann", "Bo"])
        columns = {"dataset": np.array(["x", "x"]), "identity": names, "filename": names}
        with pytest.raises(ValueError, match="one person. Received: 3 for 'Ann' and 'Bo'"):
            to_faces(columns, np.array([3, 3]), "")


def load_like(model):
    """A witness that was never on disk."""
    return Witness("", model, "")


class TestOutside:
    @pytest.mark.parametrize("name", ["reviewed", "published"])
    def test_a_list_is_part_of_what_a_run_depends_on(self, tmp_path, name):
        path = tmp_path / "list.csv"
        component = Curator(Params(**{name: str(path)}), **checks.channels(Curator))
        with pytest.raises(ComponentError, match=f"list.csv is no file.*curator.{name}="):
            component.external_fingerprint(Context(tmp_path))
        path.write_text("one")
        before = component.external_fingerprint(Context(tmp_path))
        path.write_text("two")
        assert component.external_fingerprint(Context(tmp_path)) != before

    def test_so_is_another_model(self, tmp_path):
        write_model(tmp_path / "model")
        component = Curator(Params(model=str(tmp_path / "model")), **checks.channels(Curator))
        before = component.external_fingerprint(Context(tmp_path))
        write_model(tmp_path / "model", 2 * HUE_AXES)
        assert component.external_fingerprint(Context(tmp_path)) != before

    @pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"min_images": 0}])
    def test_parameters_out_of_range_raise(self, wrong):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"{name} must be .* Received"):
            Params(**wrong)


class TestWiring:
    def test_without_apply_nobody_reads_what_was_cleaned(self):
        components = create_pipeline(configs.load("default"))
        assert "Trainer.curated" not in [one.id for one in components]
        read = [channel for one in components for channel in one.inputs.values()]
        assert not [one for one in read if getattr(one, "producer", None) is components[6]]
        assert components[6].id == "Curator"

    def test_with_apply_a_second_round_follows_on_the_same_recipe(self):
        config = configs.override(configs.load("default"), "curator.apply=true")
        by_id = {one.id: one for one in create_pipeline(config)}
        first, second, curator = by_id["Trainer"], by_id["Trainer.curated"], by_id["Curator"]
        assert second.params == first.params
        assert second.inputs["transformed_examples"] is curator.outputs["curated_examples"]
        model = second.outputs["model"]
        evaluator = by_id["Evaluator"].inputs
        assert evaluator["uncurated_model"] is first.outputs["model"]
        assert evaluator["baseline_model"] == LatestBlessedModel(model, (first.outputs["model"],))
        for name in ("Evaluator", "InfraValidator", "ModelCardGen"):
            assert by_id[name].inputs["model"] is model
        stamped = by_id["InfraValidator"].outputs["blessing"]
        assert by_id["Pusher"].inputs["infra_blessing"] is stamped
        assert by_id["ModelCardGen"].inputs["plan"] is curator.outputs["plan"]
        assert by_id["ModelCardGen"].inputs["model_run"] is second.outputs["model_run"]

    def test_thresholds_of_rules_can_be_set(self):
        config = configs.override(configs.load("default"), "curator.people.threshold=0.6")
        assert config.curator.people.threshold == 0.6
        assert config.curator.rules().people.threshold == 0.6
