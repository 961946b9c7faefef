"""Transform: the right pixels at the right size, in the same order; refusals are counted."""

import dataclasses
import json

import numpy as np
import pytest

from facezoo.data import images, schema
from facezoo.data.examples import encode_example, parse_example
from facezoo.data.images import decode_rgb
from facezoo.data.record_index import RecordIndex
from facezoo.data.records import RecordWriter, read_records
from facezoo.data.references import Refusal
from facezoo.data.schema import FaceRecord
from pipelines.artifacts import ExampleAnomalies, Examples, Schema
from pipelines.component import ComponentError
from pipelines.components.transform import Transform, crop, transform_record
from pipelines.examples_folder import read_quarantine
from tests.checks import component as checks
from tests.photographs import encoded, photograph

Params = Transform.Params


def make_record(number, label, data=None):
    data = encoded(photograph(number, 30, 40), "JPEG") if data is None else data
    return FaceRecord(data, "jpeg", 30, 40, f"{number}.jpg", f"id{label}", label, "made up")


def make_inputs(folder, train, evaluation):
    """Artifacts as ExampleGen, SchemaGen and ExampleValidator would leave them."""
    examples = Examples(folder / "examples")
    examples.splits = ["train", "eval"]
    for split, shards in (("train", train), ("eval", evaluation)):
        examples.split_dir(split).mkdir(parents=True)
        for number, shard in enumerate(shards):
            name = f"data_tfrecord-{number:05d}-of-{len(shards):05d}"
            with RecordWriter(examples.split_dir(split) / name) as writer:
                for record in shard:
                    writer.write(encode_example(record))
    known = Schema(folder / "schema")
    known.uri.mkdir()
    lines = [f'feature {{ name: "{key}" }}' for key in (*schema.BYTES_KEYS, *schema.INT64_KEYS)]
    (known.uri / "schema.pbtxt").write_text("\n".join(lines))
    anomalies = ExampleAnomalies(folder / "anomalies")
    anomalies.uri.mkdir()
    anomalies.properties["blessed"] = json.dumps({"train": 1, "eval": 1})
    return {"examples": examples, "schema": known, "anomalies": anomalies}


def good_inputs(folder):
    train = [[make_record(number, number % 2) for number in part] for part in ((3, 1, 2), (0,), ())]
    return make_inputs(folder, train, [[make_record(4, 2), make_record(5, 3)]])


def transform(inputs, folder, **params):
    component = Transform(Params(**params), **checks.channels(Transform))
    outputs, counts = checks.run(component, inputs, folder)
    return outputs["transformed_examples"], counts


def records_by_shard(examples, split):
    return {
        shard.name: [parse_example(one) for one in read_records(shard)]
        for shard in examples.shards(split)
    }


@checks.each
def test_component_checks(check, tmp_path):
    inputs = good_inputs(tmp_path / "inputs")
    component = Transform(Params(height=8, width=6), **checks.channels(Transform))
    check(component, inputs, tmp_path / "run")


def test_same_records_with_crops(tmp_path):
    inputs = good_inputs(tmp_path)
    examples, counts = transform(inputs, tmp_path / "run", height=14, width=12)
    assert counts == {"found": 6, "train": 4, "eval": 2, "quarantined": 0}
    assert examples.properties == {
        "split_names": '["train", "eval"]',
        "span": 0,
        "version": 0,
        "file_format": "tfrecord",
        "payload_format": "FORMAT_TF_EXAMPLE",
    }
    for split in ("train", "eval"):
        before = records_by_shard(inputs["examples"], split)
        after = records_by_shard(examples, split)
        assert list(before) == list(after)
        for old, new in zip(sum(before.values(), []), sum(after.values(), []), strict=True):
            pixels = images.resize(decode_rgb(old.encoded), 14, 12)
            np.testing.assert_array_equal(decode_rgb(new.encoded), pixels)
            assert new == dataclasses.replace(
                old, encoded=new.encoded, format="png", height=14, width=12
            )
    assert json.loads((examples.uri / "identities.json").read_text()) == {
        "train": [[0, "id0", 2], [1, "id1", 2]],
        "eval": [[2, "id2", 1], [3, "id3", 1]],
    }


def test_the_crops_have_an_index(tmp_path):
    examples, _ = transform(good_inputs(tmp_path), tmp_path / "run", height=14, width=12)
    for split in ("train", "eval"):
        index = RecordIndex.open(examples.index_dir(split), examples.shards(split))
        records = sum(records_by_shard(examples, split).values(), [])
        assert [index.read(number) for number in range(index.num_images)] == records
        assert index.image_size == (14, 12) and index.datasets == ["made up"]


def test_tfds_reads_the_crops(tmp_path):
    import tensorflow_datasets as tfds

    examples, _ = transform(good_inputs(tmp_path), tmp_path / "run", height=14, width=12)
    builder = tfds.builder_from_directory(str(examples.uri))
    assert builder.name == "made_up"
    read = list(tfds.as_numpy(builder.as_dataset(split="train")))
    assert [one["image"]["filename"].decode() for one in read] == [
        "3.jpg",
        "1.jpg",
        "2.jpg",
        "0.jpg",
    ]
    pixels = images.resize(decode_rgb(make_record(3, 1).encoded), 14, 12)
    np.testing.assert_array_equal(read[0]["image"]["encoded"], pixels)


def test_stretch_and_center_crop_differ_where_proportions_do():
    column = np.arange(40, dtype=np.uint8)[None, :, None] * 6
    picture = np.broadcast_to(column, (20, 40, 3))
    stretched = crop(picture, Params(height=20, width=20, mode="stretch"))
    cut = crop(picture, Params(height=20, width=20, mode="center_crop"))
    assert stretched.shape == cut.shape == (20, 20, 3)
    np.testing.assert_array_equal(cut, picture[:, 10:30])
    assert stretched[0, 0, 0] < 10 and stretched[0, -1, 0] > 220
    square = picture[:, :20]
    np.testing.assert_array_equal(crop(square, Params(height=20, width=20)), square)


def test_jpeg_on_demand():
    record = make_record(0, 0)
    good, bad = (
        transform_record(record, Params(height=30, width=40, format="jpeg", quality=quality))
        for quality in (95, 10)
    )
    assert good.format == bad.format == "jpeg"
    assert good.encoded[:2] == b"\xff\xd8"
    assert len(bad.encoded) < len(good.encoded)
    difference = decode_rgb(good.encoded).astype(int) - decode_rgb(record.encoded)
    assert np.abs(difference).mean() < 2


def test_grey_pictures_become_rgb_pixels():
    photo = photograph(0, channels=1)
    record = transform_record(make_record(0, 0, encoded(photo, "PNG")), Params(24, 20))
    np.testing.assert_array_equal(decode_rgb(record.encoded), np.dstack([photo] * 3))


def test_a_broken_picture_is_refused_and_counted(tmp_path):
    inputs = make_inputs(
        tmp_path,
        [[make_record(0, 0), make_record(1, 1, b"no image"), make_record(2, 2)]],
        [[make_record(3, 3), make_record(4, 3, b"")]],
    )
    examples, counts = transform(inputs, tmp_path / "run")
    assert counts == {"found": 5, "train": 2, "eval": 1, "quarantined": 2}
    assert read_quarantine(examples.uri / "quarantine.csv") == [
        Refusal("1.jpg", "not an image of the kinds JPEG, PNG, WEBP, BMP, PPM, GIF"),
        Refusal("4.jpg", "zero bytes"),
    ]
    # Without the last picture the label stays: those behind it must not move.
    assert json.loads((examples.uri / "identities.json").read_text())["train"] == [
        [0, "id0", 1],
        [1, "id1", 0],
        [2, "id2", 1],
    ]


def test_a_split_without_any_picture_stops_the_run(tmp_path):
    inputs = make_inputs(tmp_path, [[make_record(0, 0)]], [[make_record(1, 1, b"")]])
    with pytest.raises(ComponentError, match="No picture of the split eval could be decoded"):
        transform(inputs, tmp_path / "run")


def test_a_damaged_shard_stops_the_run(tmp_path):
    inputs = good_inputs(tmp_path)
    shard = inputs["examples"].shards("train")[0]
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(ComponentError, match="cut off"):
        transform(inputs, tmp_path / "run")


def test_a_lost_record_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "pipelines.components.transform.map_in_order",
        lambda function, items: list(map(function, items))[1:],
    )
    with pytest.raises(ComponentError, match="6 went in, 3 came out"):
        transform(good_inputs(tmp_path), tmp_path / "run")


@pytest.mark.parametrize("blessed", ['{"train": 1, "eval": 0}', '{"train": 1}', None])
def test_what_is_not_blessed_is_not_transformed(tmp_path, blessed):
    inputs = good_inputs(tmp_path)
    inputs["anomalies"].properties = {} if blessed is None else {"blessed": blessed}
    with pytest.raises(ComponentError, match="does not bless the split .*eval.*anomalies.txt"):
        transform(inputs, tmp_path / "run")


def test_a_schema_without_our_features_is_refused(tmp_path):
    inputs = good_inputs(tmp_path)
    path = inputs["schema"].uri / "schema.pbtxt"
    path.write_text(path.read_text().replace("image/format", "image/kind"))
    with pytest.raises(ComponentError, match="The schema lacks: image/format"):
        transform(inputs, tmp_path / "run")


@pytest.mark.parametrize(
    "values",
    [
        {"height": 0},
        {"width": 0},
        {"quality": 101},
        {"mode": "x"},
        {"format": "bmp"},
        {"detector": "x"},
    ],
)
def test_params_out_of_range(values):
    with pytest.raises(ValueError, match=f"{next(iter(values))}.* Received"):
        Params(**values)
