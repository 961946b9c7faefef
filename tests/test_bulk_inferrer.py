"""BulkInferrer: every picture embedded by the served model or refused with a reason, in files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

import facezoo
from facezoo import serving
from facezoo.backbones import MobileFaceNet
from facezoo.data.examples import parse_features
from facezoo.data.records import index_records, read_records
from facezoo.data.references import Refusal
from pipelines import configs, inference
from pipelines.artifacts import Examples, InferenceResult, ModelBlessing, PushedModel
from pipelines.component import Channel, ComponentError, Context
from pipelines.components.bulk_inferrer import BulkInferrer
from pipelines.inference import InferenceOptions, embed_batch, infer
from pipelines.inference_files import SINKS, count_rows
from pipelines.inference_input import Picture, list_pieces, shard_pieces
from pipelines.pipeline import create_pipeline
from tests.photographs import encoded, photograph, with_orientation
from tests.shards import record, write_shard, write_shards

LABELS = [0, 0, 1, 1, 2]
REPOSITORY = Path(__file__).parent.parent


class Colours:
    """Stands for a served model: takes PNG, and says the first byte of what it was given."""

    def embed_bytes(self, pictures):
        valid = np.array([one.startswith(b"\x89PNG") for one in pictures], bool)
        norm = np.array([len(one) for one in pictures], np.float32) * valid
        return {"embedding": np.stack([norm, norm], axis=1), "norm": norm, "valid": valid}


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    keras.utils.set_random_seed(0)
    backbone = MobileFaceNet(**MobileFaceNet.TINY, name="tiny")
    folder = tmp_path_factory.mktemp("served") / "1"
    serving.export_saved_model(facezoo.create_model(backbone, embedding_dim=6), folder)
    return folder


@pytest.fixture(scope="module")
def served(model_dir):
    return serving.load(model_dir)


@pytest.fixture(autouse=True)
def loaded(model_dir, served, monkeypatch):
    """Lends every test the model that is loaded already; returns what was asked for."""
    asked, load = [], serving.load

    def lend(folder):
        asked.append(folder)
        return served if folder == model_dir else load(folder)

    monkeypatch.setattr(serving, "load", lend)
    return asked


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("in") / "shards", LABELS)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    examples = Examples(tmp_path_factory.mktemp("in") / "examples")
    examples.splits = ["train", "eval"]
    write_shards(examples.split_dir("train"), LABELS)
    write_shards(examples.split_dir("eval"), [0, 1], num_shards=1)
    return examples


def embed(source, model_dir, folder, options=None, **context):
    folder.mkdir(parents=True)
    work = list_pieces(str(source), folder / "spool", images_per_shard=3)
    return infer(work, model_dir, folder, options or InferenceOptions(), Context(folder, **context))


@pytest.fixture(scope="module")
def results(shards, model_dir, tmp_path_factory):
    """The shards embedded, by kind of file."""
    folder = tmp_path_factory.mktemp("out")
    for kind in SINKS:
        embed(shards[0].parent, model_dir, folder / kind, InferenceOptions(kind, batch_size=2))
    return folder


def rows(folder):
    """Every embedding of an output in Parquet, in order, read as one table."""
    return parquet.read_table(folder / "embeddings").to_pylist()


def quarantine(folder):
    return dict(
        line.split(",", 1) for line in (folder / "quarantine.csv").read_text().splitlines()[1:]
    )


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class TestBatch:
    def pictures(self):
        good = encoded(photograph(0), "PNG")
        kinds = [good, encoded(photograph(1), "PPM"), b"no picture", good + b"?"]
        return [Picture(str(number), one, "test") for number, one in enumerate(kinds)]

    def test_what_the_model_refuses_is_tried_as_png_and_else_refused(self):
        pictures = self.pictures()
        found = embed_batch(pictures, Colours())
        assert [picture.filename for picture in found.pictures] == ["0", "1", "3"]
        assert found.norm[0] == len(pictures[0].encoded) and found.norm[1] > 0
        assert found.norm[2] == found.norm[0] + 1, "a row moved"
        (refusal,) = found.refusals
        assert refusal.key == "2" and refusal.reason.startswith("not an image of the kinds")

    def test_what_the_model_refuses_twice_is_listed(self):
        class Blind:
            def embed_bytes(self, pictures):
                zeros = np.zeros((len(pictures), 2), np.float32)
                return {"embedding": zeros, "norm": zeros[:, 0], "valid": zeros[:, 0] > 0}

        found = embed_batch(self.pictures()[:2], Blind())
        assert found.pictures == [] and len(found.embedding) == 0
        assert [one.reason for one in found.refusals] == ["the served model cannot decode it"] * 2


class TestShards:
    def test_rows_are_what_the_model_answers_in_the_order_of_the_records(self, served, results):
        numbers = [0, 2, 4, 1, 3]
        records = [record(number, LABELS[number]) for number in numbers]
        answer = served.embed_bytes([one.encoded for one in records])
        found = rows(results / "parquet")
        for row, one, embedding, norm in zip(
            found, records, answer["embedding"], answer["norm"], strict=True
        ):
            assert row["image/filename"] == one.filename and row["dataset/name"] == "test"
            assert (row["identity/name"], row["identity/label"]) == (one.identity, one.label)
            np.testing.assert_allclose(row["embedding"], embedding, atol=1e-6)
            assert row["norm"] == pytest.approx(norm, abs=1e-4)
        names = [f"embeddings/embeddings-0000{number}-of-00002.parquet" for number in range(2)]
        assert set(contents(results / "parquet")) == {*names, "quarantine.csv", "inference.json"}

    def test_parquet_says_which_model_and_has_lists_of_one_length(self, served, results):
        schema = parquet.read_schema(
            results / "parquet/embeddings/embeddings-00000-of-00002.parquet"
        )
        assert str(schema.field("embedding").type).startswith("fixed_size_list<")
        assert schema.field("embedding").type.list_size == 6
        facts = json.loads(schema.metadata[b"facezoo"])
        assert facts["model"] == served.fingerprint() and facts["distance"] == "squared_l2"
        assert facts["preprocessing"] == served.info["preprocessing"]
        written = json.loads((results / "parquet/inference.json").read_text())
        assert written["model"] == facts and written["embedding_dim"] == 6
        assert written["counts"] == {"found": 5, "embedded": 5, "quarantined": 0}

    def test_tfrecord_holds_the_same(self, served, results):
        files = sorted((results / "tfrecord").rglob("*.tfrecord"))
        found = [parse_features(one) for file in files for one in read_records(file)]
        for features, row in zip(found, rows(results / "parquet"), strict=True):
            for key, value in row.items():
                (one,) = [features[key]] if key == "embedding" else features[key]
                assert (one.decode() if isinstance(one, bytes) else one) == value, key
            assert features["model/fingerprint"] == [served.fingerprint().encode()]
            assert set(features) == {*row, "model/fingerprint", "preprocessing/fingerprint"}

    @pytest.mark.parametrize("kind", SINKS)
    def test_another_engine_writes_the_same_bytes(self, shards, model_dir, results, tmp_path, kind):
        options, args = InferenceOptions(kind, batch_size=2), ["--runner=BundleBasedDirectRunner"]
        embed(shards[0].parent, model_dir, tmp_path / "out", options, beam_args=args)
        assert contents(tmp_path / "out") == contents(results / kind)

    def test_folders_of_splits_stay_apart(self, model_dir, tmp_path):
        for split in ("train", "eval"):
            write_shards(tmp_path / "in" / f"Split-{split}", [0, 1], num_shards=1)
        assert embed(tmp_path / "in", model_dir, tmp_path / "out")["embedded"] == 4
        for split in ("train", "eval"):
            file = tmp_path / f"out/Split-{split}/embeddings-00000-of-00001.tfrecord"
            assert count_rows(file, "tfrecord") == 2

    def test_the_model_is_loaded_once(self, shards, model_dir, tmp_path, loaded):
        embed(shards[0].parent, model_dir, tmp_path / "out")
        assert loaded == [model_dir]

    def test_a_damaged_shard_stops_with_one_line(self, model_dir, tmp_path):
        (shard,) = write_shards(tmp_path / "in", LABELS, num_shards=1)
        data = bytearray(shard.read_bytes())
        data[40] ^= 1
        shard.write_bytes(data)
        with pytest.raises(ComponentError, match="The record at byte 0 of .*damaged") as error:
            embed(tmp_path / "in", model_dir, tmp_path / "out")
        assert "\n" not in str(error.value)
        assert list((tmp_path / "out" / "embeddings").iterdir()) == []

    def test_a_compressed_shard_is_named(self, tmp_path):
        write_shard(tmp_path / "data_tfrecord-0.gz", []).write_bytes(b"\x1f\x8b" + b"0" * 50)
        with pytest.raises(ComponentError, match=r"tfrecord-0\.gz.*uncompressed"):
            list_pieces(str(tmp_path), tmp_path / "spool")

    def test_what_gets_lost_is_noticed(self, shards, model_dir, tmp_path, monkeypatch):
        kept = inference.embed_batch

        def lose_one(pictures, served):
            return kept(pictures[1:], served)

        monkeypatch.setattr(inference, "embed_batch", lose_one)
        with pytest.raises(ComponentError, match="5 went in, 3 were embedded and 0 refused"):
            embed(shards[0].parent, model_dir, tmp_path / "out")

    def test_many_rows_go_into_groups(self, served, tmp_path, monkeypatch):
        monkeypatch.setattr("pipelines.inference_files._ROWS_PER_GROUP", 3)
        facts = {"model": "m", "preprocessing": "p"}
        pictures = [Picture(str(number), b"", "test") for number in range(2)]
        numbers = np.arange(4, dtype=np.float32).reshape(2, 2)
        with SINKS["parquet"](tmp_path / "file", facts, 2) as sink:
            for _ in range(5):
                sink.write(pictures, numbers, numbers[:, 0])
        file = parquet.ParquetFile(tmp_path / "file")
        groups = [file.metadata.row_group(number).num_rows for number in range(3)]
        assert groups == [4, 4, 2]
        assert file.read()["embedding"].to_pylist() == numbers.tolist() * 5


class TestFolder:
    @pytest.fixture
    def pictures(self, tmp_path):
        folder = tmp_path / "pictures"
        (folder / "Ann").mkdir(parents=True)
        (folder / "a.png").write_bytes(encoded(photograph(0), "PNG"))
        (folder / "Ann" / "b.ppm").write_bytes(encoded(photograph(0), "PPM"))
        turned = Image.fromarray(photograph(0)).transpose(Image.Transpose.ROTATE_90)
        exif = with_orientation(6)
        (folder / "c.png").write_bytes(encoded(turned, "PNG", exif=exif))
        (folder / "broken.png").write_bytes(encoded(photograph(1), "PNG")[:100])
        (folder / "note.txt").write_text("no picture")
        with open(folder / "long.png", "wb") as file:
            file.truncate(2**40)
        return folder

    def test_everything_is_embedded_or_refused_with_a_reason(self, pictures, model_dir, tmp_path):
        counts = embed(pictures, model_dir, tmp_path / "out", InferenceOptions("parquet"))
        assert counts == {"found": 6, "embedded": 3, "quarantined": 3}
        refused = quarantine(tmp_path / "out")
        assert refused["long.png"].startswith('"file too large')
        assert refused["broken.png"].startswith("truncated or damaged")
        assert "unsupported extension '.txt'" in refused["note.txt"]
        found = rows(tmp_path / "out")
        known = [(row["image/filename"], row["identity/name"]) for row in found]
        assert known == [("Ann/b.ppm", "Ann"), ("a.png", None), ("c.png", None)]
        assert {row["identity/label"] for row in found} == {None}
        # One picture in three forms.
        for row in found[1:]:
            np.testing.assert_allclose(row["embedding"], found[0]["embedding"], atol=1e-5)

    def test_a_csv_need_not_name_anybody(self, pictures, tmp_path):
        (tmp_path / "list.csv").write_text("path,identity\npictures/a.png,\n")
        (piece,), refusals = list_pieces(str(tmp_path / "list.csv"), tmp_path / "spool")
        (picture,) = piece.pictures()
        assert (picture.filename, picture.identity, refusals) == ("pictures/a.png", None, [])
        assert picture.encoded == (pictures / "a.png").read_bytes()

    def test_a_file_too_long_for_a_picture_or_gone_is_not_read(self, pictures, tmp_path):
        pieces, refusals = list_pieces(str(pictures), tmp_path / "spool", images_per_shard=2)
        (pictures / "c.png").unlink()
        found = [picture for piece in pieces for picture in piece.pictures()]
        refused = {one.key: one.reason for one in found if isinstance(one, Refusal)}
        assert refused["long.png"].startswith("file too large")
        assert refused["c.png"] == "cannot be read: No such file or directory"
        assert sum(piece.num_found for piece in pieces) == len(found) == 5
        assert [one.key for one in refusals] == ["note.txt"]

    def test_nothing_but_refusals_leaves_an_empty_file(self, model_dir, tmp_path):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.png").write_bytes(b"")
        embed(tmp_path / "in", model_dir, tmp_path / "out", InferenceOptions("parquet"))
        table = parquet.read_table(tmp_path / "out/embeddings/embeddings-00000-of-00001.parquet")
        assert len(table) == 0 and table.schema.field("embedding").type.list_size == 6

    def test_nothing_there(self, tmp_path):
        with pytest.raises(ComponentError, match="does not exist"):
            list_pieces(str(tmp_path / "nowhere"), tmp_path / "spool")

    def test_no_model(self, pictures, tmp_path):
        with pytest.raises(ComponentError, match=r"saved_model\.pb") as error:
            embed(pictures, tmp_path / "empty", tmp_path / "out")
        assert "\n" not in str(error.value)


class TestComponent:
    def run(self, examples, model, folder, blessed=1, **params):
        result = InferenceResult(folder)
        folder.mkdir(parents=True)
        channels = dict.fromkeys(BulkInferrer.INPUTS, Channel(None, "any"))
        inputs = {"examples": examples, "model": model}
        inputs["model_blessing"] = ModelBlessing(Path("none"), {"blessed": blessed})
        component = BulkInferrer(InferenceOptions(**params), **channels)
        counts = component.run(inputs, {"inference_result": result}, Context(folder / "serving"))
        return result, counts

    def test_embeds_all_splits_and_leaves_its_inputs_alone(self, examples, model_dir, tmp_path):
        before = contents(examples.uri) | contents(model_dir)
        model = PushedModel(model_dir, {"pushed": 1})
        result, counts = self.run(examples, model, tmp_path / "out", batch_size=2)
        assert contents(examples.uri) | contents(model_dir) == before
        assert counts == {"found": 7, "embedded": 7, "quarantined": 0}
        assert result.splits == ["train", "eval"]
        assert result.properties["inferred"] == 1
        assert result.properties["file_format"] == "tfrecord"
        for split, expected in (("train", [3, 2]), ("eval", [2])):
            files = sorted(result.split_dir(split).iterdir())
            assert [len(index_records(file)) for file in files] == expected

    @pytest.mark.parametrize(
        ("blessed", "properties", "reason"),
        [
            (0, {"pushed": 0, "reason": "not blessed"}, "Evaluator has not blessed the model."),
            (1, {"pushed": 0, "reason": "no server"}, "Pusher has not pushed the model: no server"),
        ],
    )
    def test_a_model_that_was_not_pushed_embeds_nothing(
        self, examples, tmp_path, blessed, properties, reason
    ):
        model = PushedModel(tmp_path, properties)
        result, counts = self.run(examples, model, tmp_path / "out", blessed)
        assert counts == {"inferred": 0, "reason": reason}
        assert result.properties["inferred"] == 0 and result.splits == []
        assert list(result.uri.iterdir()) == []

    def test_no_records(self, model_dir, tmp_path):
        examples = Examples(tmp_path / "examples")
        examples.splits = ["eval"]
        write_shards(examples.split_dir("eval"), [], num_shards=1)
        with pytest.raises(ComponentError, match="nothing to embed"):
            self.run(examples, PushedModel(model_dir, {"pushed": 1}), tmp_path / "out")


def test_the_pipeline_embeds_the_crops_with_what_was_pushed():
    config = configs.override(configs.load("default"), "bulk_inferrer.format=parquet")
    by_id = {component.id: component for component in create_pipeline(config)}
    component = by_id["BulkInferrer"]
    assert component.inputs == {
        "examples": by_id["Transform"].outputs["transformed_examples"],
        "model": by_id["Pusher"].outputs["pushed_model"],
        "model_blessing": by_id["Evaluator"].outputs["blessing"],
    }
    assert component.params == InferenceOptions("parquet")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"format": "csv"}, "one of tfrecord, parquet"), ({"batch_size": 0}, "at least 1")],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        InferenceOptions(**options)


def test_shards_are_counted_without_being_read(shards):
    assert [piece.num_found for piece in shard_pieces(shards, "Split-eval")] == [3, 2]
    assert shard_pieces(shards, "a")[1].target == "a/embeddings-00001-of-00002"


@pytest.mark.slow
def test_the_command(model_dir, shards, tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "pipelines.bulk_infer", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
        )

    output = tmp_path / "out"
    command = [f"--model={model_dir}", f"--input={shards[0].parent}", f"--output={output}"]
    done = run(*command, "--format=parquet", "--runner=DirectRunner")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Done: 5 of 5 pictures embedded into {output}")
    assert len(rows(output)) == 5 and list(tmp_path.iterdir()) == [output]
    for arguments, message in (
        (command, f"error: The output {output} is there already."),
        ([*command[1:2], f"--output={tmp_path / 'b'}", f"--model={tmp_path}"], "error: "),
        ([*command, "--format=csv"], "error: flag --format=csv: value should be one of"),
    ):
        failed = run(*arguments)
        assert failed.returncode == 1 and failed.stdout == ""
        assert failed.stderr.startswith(message) and failed.stderr.count("\n") == 1
        assert list(tmp_path.iterdir()) == [output], "something half-made was left"
