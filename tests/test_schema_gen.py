"""SchemaGen: types, presence and domains from the train split; nothing about who is in it."""

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from facezoo.data import schema as keys
from pipelines.artifacts import ExampleStatistics
from pipelines.component import ComponentError
from pipelines.components.schema_gen import Params, SchemaGen, infer_schema
from pipelines.components.statistics_gen import write_statistics
from pipelines.counting import SplitCounts
from pipelines.statistics import statistics_proto
from pipelines.tfmd import read_schema
from tests.checks import component as checks

EXAMPLE = {
    keys.IMAGE_ENCODED: [b"\x89PNG"],
    keys.IMAGE_FORMAT: [b"png"],
    keys.IMAGE_HEIGHT: [112],
    keys.IMAGE_WIDTH: [92],
    keys.IMAGE_FILENAME: [b"a.png"],
    keys.IDENTITY_NAME: [b"a"],
    keys.IDENTITY_LABEL: [0],
    keys.DATASET_NAME: [b"tiny"],
}
REQUIRED = "presence { min_fraction: 1.0 min_count: 1 } shape { dim { size: 1 } }"
EXPECTED = f"""
feature {{ name: "dataset/name" type: BYTES {REQUIRED} }}
feature {{ name: "identity/label" type: INT {REQUIRED} }}
feature {{ name: "identity/name" type: BYTES {REQUIRED} }}
feature {{ name: "image/encoded" type: BYTES {REQUIRED} image_domain {{ }} }}
feature {{ name: "image/filename" type: BYTES {REQUIRED} }}
feature {{ name: "image/format" type: BYTES {REQUIRED} string_domain {{ value: "png" }} }}
feature {{ name: "image/height" type: INT {REQUIRED} int_domain {{ min: 1 }} }}
feature {{ name: "image/width" type: INT {REQUIRED} int_domain {{ min: 1 }} }}
dataset_constraints {{ min_examples_count: 1 }}
"""


def count(*examples):
    counts = SplitCounts()
    for example in examples:
        counts.add(example)
    return counts


def infer(*examples, **options):
    proto = infer_schema(statistics_proto("train", count(*examples)).datasets[0], **options)
    return proto, {feature.name: feature for feature in proto.feature}


def make_statistics(folder, **splits):
    statistics = ExampleStatistics(folder / "statistics")
    statistics.splits = list(splits)
    for split, examples in splits.items():
        statistics.split_dir(split).mkdir(parents=True)
        write_statistics(count(*examples), str(statistics.split_dir(split)), split)
    return statistics


def run(folder, params=None, **splits):
    component = SchemaGen(params, **checks.channels(SchemaGen))
    statistics = make_statistics(folder, **splits)
    outputs, counts = checks.run(component, {"statistics": statistics}, folder)
    return outputs["schema"], counts


@checks.each
def test_component(check, tmp_path):
    component = SchemaGen(**checks.channels(SchemaGen))
    check(component, {"statistics": make_statistics(tmp_path, train=[EXAMPLE])}, tmp_path / "check")


def test_schema_of_the_contract():
    proto, _ = infer(EXAMPLE)
    assert proto == text_format.Parse(EXPECTED, schema_pb2.Schema())


@pytest.mark.parametrize("examples", [(), ({keys.IMAGE_HEIGHT: [b"112"]},)])
def test_contract_stands_even_if_train_breaks_it(examples):
    _, features = infer(*examples)
    assert list(features) == sorted((*keys.BYTES_KEYS, *keys.INT64_KEYS))
    assert features[keys.IMAGE_HEIGHT].type == schema_pb2.INT
    assert all(feature.presence.min_fraction == 1 for feature in features.values())


@pytest.mark.parametrize(
    ("seen", "domain"),
    [
        ([b"png"], ["png"]),
        ([b"png", b"jpeg"], ["jpeg", "png"]),
        ([b"png", b"tiff"], ["png"]),
        ([b"tiff"], ["jpeg", "png"]),
        ([], ["jpeg", "png"]),
    ],
)
def test_format_domain_is_what_train_has_and_the_zoo_decodes(seen, domain):
    _, features = infer(*({**EXAMPLE, keys.IMAGE_FORMAT: [value]} for value in seen))
    assert list(features[keys.IMAGE_FORMAT].string_domain.value) == domain


def test_other_features_are_taken_as_they_are():
    _, features = infer(
        {**EXAMPLE, "landmarks": [0.5] * 10, "boxes": [1], "note": [b"a"]},
        {**EXAMPLE, "landmarks": [0.5] * 10, "boxes": [1, 2]},
    )
    landmarks, boxes, note = (features[name] for name in ("landmarks", "boxes", "note"))
    assert (landmarks.type, boxes.type, note.type) == (
        schema_pb2.FLOAT,
        schema_pb2.INT,
        schema_pb2.BYTES,
    )
    assert [dim.size for dim in landmarks.shape.dim] == [10]
    assert not boxes.HasField("shape") and not note.HasField("shape")
    assert (boxes.presence.min_fraction, note.presence.min_fraction) == (1, 0)


def test_min_image_size_is_the_lower_end_of_height_and_width():
    _, features = infer(EXAMPLE, min_image_size=64)
    assert features[keys.IMAGE_HEIGHT].int_domain.min == 64
    assert features[keys.IMAGE_WIDTH].int_domain.min == 64


def test_min_image_size_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1 pixel. Received: 0"):
        Params(min_image_size=0)


def test_component_reads_only_train_and_gives_the_same_bytes(tmp_path):
    other = {**EXAMPLE, "extra": [1], keys.IMAGE_FORMAT: [b"jpeg"]}
    first, counts = run(tmp_path / "first", train=[EXAMPLE], eval=[other])
    second, _ = run(tmp_path / "second", eval=[], train=[EXAMPLE])
    assert counts == {"features": 8}
    assert [path.name for path in first.uri.iterdir()] == ["schema.pbtxt"]
    assert (first.uri / "schema.pbtxt").read_bytes() == (second.uri / "schema.pbtxt").read_bytes()
    assert read_schema(first) == infer(EXAMPLE)[0]


def test_component_uses_its_params(tmp_path):
    schema, _ = run(tmp_path, Params(min_image_size=7), train=[EXAMPLE])
    assert "min: 7" in (schema.uri / "schema.pbtxt").read_text()


def test_no_train_split_stops_with_one_clear_line(tmp_path):
    with pytest.raises(ComponentError, match="split 'train'. Received the splits: eval, test"):
        run(tmp_path, eval=[EXAMPLE], test=[])
