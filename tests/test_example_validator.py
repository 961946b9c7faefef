"""ExampleValidator: clean data pass; each fault gives exactly its anomaly, and no other."""

import json

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from facezoo.data import schema as keys
from pipelines.artifacts import ExampleStatistics
from pipelines.components.example_validator import (
    ExampleValidator,
    Params,
    anomalies_proto,
    serialized_path,
)
from pipelines.components.schema_gen import SchemaGen
from pipelines.components.statistics_gen import write_statistics
from pipelines.counting import SplitCounts
from pipelines.tfmd import read_anomalies, read_schema
from pipelines.validation import Anomaly
from tests.checks import component as checks

Info = anomalies_pb2.AnomalyInfo
ERROR, WARNING = Info.ERROR, Info.WARNING


def example(name, label, **changes):
    """Returns the features of one example; `image_height=None` leaves that one out."""
    features = {
        keys.IMAGE_ENCODED: [b"\xff\xd8"],
        keys.IMAGE_FORMAT: [b"jpeg"],
        keys.IMAGE_HEIGHT: [112],
        keys.IMAGE_WIDTH: [92],
        keys.IMAGE_FILENAME: [b"a.jpg"],
        keys.IDENTITY_NAME: [name.encode()],
        keys.IDENTITY_LABEL: [label],
        keys.DATASET_NAME: [b"tiny"],
    }
    features |= {key.replace("_", "/"): value for key, value in changes.items()}
    return {key: value for key, value in features.items() if value is not None}


TRAIN = [example(name, label) for label, name in enumerate("ab") for _ in range(3)]
EVAL = [example(name, label) for label, name in enumerate("cd", start=2) for _ in range(2)]


def make_inputs(folder, **splits):
    """Returns statistics of the splits and the schema that SchemaGen makes of them."""
    statistics = ExampleStatistics(folder / "statistics")
    statistics.splits = list(splits)
    for split, examples in splits.items():
        counts = SplitCounts()
        for one in examples:
            counts.add(one)
        statistics.split_dir(split).mkdir(parents=True)
        write_statistics(counts, str(statistics.split_dir(split)), split)
    schema_gen = SchemaGen(**checks.channels(SchemaGen))
    outputs, _ = checks.run(schema_gen, {"statistics": statistics}, folder)
    return {"statistics": statistics, "schema": outputs["schema"]}


def run(folder, fail_on="error", **splits):
    component = ExampleValidator(Params(fail_on), **checks.channels(ExampleValidator))
    inputs = make_inputs(folder, **splits)
    outputs, counts = checks.run(component, inputs, folder)
    return outputs["anomalies"], counts, inputs["schema"]


@checks.each
def test_component(check, tmp_path):
    component = ExampleValidator(**checks.channels(ExampleValidator))
    inputs = make_inputs(tmp_path, train=TRAIN, eval=TAMPERED["unknown format"][0])
    check(component, inputs, tmp_path / "check")


def reasons(artifact, split):
    """Returns {(feature, type of reason): short description} of a split."""
    proto = read_anomalies(artifact, split)
    infos = {**proto.anomaly_info}
    if proto.HasField("dataset_anomaly_info"):
        infos[""] = proto.dataset_anomaly_info
    return {
        (key, Info.Type.Name(reason.type)): (reason.short_description, info.severity)
        for key, info in infos.items()
        for reason in info.reason
    }


def blessed(artifact):
    return json.loads(artifact.properties["blessed"])


def report(artifact):
    return (artifact.uri / "anomalies.txt").read_text(encoding="utf-8")


def test_clean_data_have_no_anomaly(tmp_path):
    artifact, counts, schema = run(tmp_path, train=TRAIN, eval=EVAL)
    assert counts == {"errors": 0, "warnings": 0}
    assert artifact.splits == ["train", "eval"]
    assert blessed(artifact) == {"train": 1, "eval": 1}
    for split in artifact.splits:
        proto = read_anomalies(artifact, split)
        assert proto.baseline == read_schema(schema)
        assert proto.anomaly_name_format == anomalies_pb2.Anomalies.SERIALIZED_PATH
        assert not proto.anomaly_info and not proto.HasField("dataset_anomaly_info")
        assert not proto.data_missing
    assert report(artifact) == (
        "Split train: examples 6, errors 0, warnings 0\n"
        "Split eval: examples 4, errors 0, warnings 0\n"
    )


TAMPERED = {
    "missing feature": (
        [example(name, 2 + i % 2, image_height=None) for i, name in enumerate("cdcd")],
        ("image/height", "SCHEMA_MISSING_COLUMN", "Column dropped", ERROR),
        "No example has the feature.",
    ),
    "unexpected feature": (
        [*EVAL, {**EVAL[0], "landmarks": [0.5] * 10}],
        ("landmarks", "SCHEMA_NEW_COLUMN", "New column", ERROR),
        "in the data but not in the schema",
    ),
    "wrong type": (
        [example(name, 2 + i % 2, image_width=[b"92"]) for i, name in enumerate("cdcd")],
        ("image/width", "UNEXPECTED_DATA_TYPE", "Unexpected data type", ERROR),
        "Expected data of type INT. Received STRING.",
    ),
    "missing values": (
        [*EVAL, example("c", 2, dataset_name=None)],
        ("dataset/name", "FEATURE_TYPE_LOW_FRACTION_PRESENT", "Missing values", ERROR),
        "1 of 5 examples lack the feature.",
    ),
    "two values": (
        [*EVAL, example("c", 2, image_filename=[b"a.jpg", b"b.jpg"])],
        ("image/filename", "INVALID_FEATURE_SHAPE", "Invalid feature shape", ERROR),
        "Expected 1 value(s) in each example. Found 1 to 2.",
    ),
    "unknown format": (
        [*EVAL, example("c", 2, image_format=[b"tiff"])],
        (
            "image/format",
            "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
            "Unexpected string values",
            ERROR,
        ),
        "Expected one of ['jpeg']. Found 'tiff' (1).",
    ),
    "format that train has not": (
        [*EVAL, example("c", 2, image_format=[b"png"])],
        (
            "image/format",
            "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
            "Unexpected string values",
            WARNING,
        ),
        "Expected one of ['jpeg']. Found 'png' (1).",
    ),
    "height of zero": (
        [*EVAL, example("c", 2, image_height=[0])],
        ("image/height", "INT_TYPE_SMALL_INT", "Out-of-range values", ERROR),
        "Expected at least 1. Found 0.",
    ),
    "negative width": (
        [*EVAL, example("c", 2, image_width=[-3])],
        ("image/width", "INT_TYPE_SMALL_INT", "Out-of-range values", ERROR),
        "Expected at least 1. Found -3.",
    ),
    "empty split": (
        [],
        ("", "DATASET_LOW_NUM_EXAMPLES", "Too few examples", ERROR),
        "Expected at least 1 example(s). Found 0.",
    ),
    "one identity": (
        EVAL[:2],
        ("identity/name", "FEATURE_TYPE_LOW_UNIQUE", "Too few identities", ERROR),
        "Expected at least 2 identities. Found 'c'.",
    ),
    "identity with one image": (
        [*EVAL, example("e", 4)],
        ("identity/name", "CUSTOM_VALIDATION", "Identities with one image", WARNING),
        "They are in no genuine pair: 1 of 3 identities ('e').",
    ),
    "no genuine pair": (
        [example("c", 2), example("d", 3)],
        ("identity/name", "CUSTOM_VALIDATION", "No genuine pairs", ERROR),
        "No identity has more than one image",
    ),
    "two identities of one label": (
        [*EVAL, example("e", 3), example("e", 3)],
        ("identity/label", "CUSTOM_VALIDATION", "Ambiguous labels", ERROR),
        "Share a label or have several: 'd', 'e'.",
    ),
    "an identity of two labels": (
        [*EVAL, example("c", 7)],
        ("identity/label", "CUSTOM_VALIDATION", "Ambiguous labels", ERROR),
        "Share a label or have several: 'c'.",
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_each_fault_in_eval_gives_exactly_its_anomaly(tmp_path, case):
    examples, (key, kind, short, severity), text = TAMPERED[case]
    artifact, counts, _ = run(tmp_path, train=TRAIN, eval=examples)
    assert reasons(artifact, "train") == {}
    assert reasons(artifact, "eval") == {(key, kind): (short, severity)}
    assert counts == {"errors": int(severity == ERROR), "warnings": int(severity == WARNING)}
    assert blessed(artifact) == {"train": 1, "eval": int(severity == WARNING)}
    proto = read_anomalies(artifact, "eval")
    info = proto.anomaly_info[key] if key else proto.dataset_anomaly_info
    assert list(info.path.step) == ([key] if key else [])
    assert (info.short_description, info.description) == (short, info.reason[0].description)
    assert text in info.description
    assert proto.data_missing == (case == "empty split")
    line = f"  {Info.Severity.Name(severity)} {key or 'split'}: {short}. {info.description}\n"
    assert report(artifact) == (
        "Split train: examples 6, errors 0, warnings 0\n"
        f"Split eval: examples {len(examples)}, errors {int(severity == ERROR)}, "
        f"warnings {int(severity == WARNING)}\n{line}"
    )


def test_an_identity_on_two_splits_is_told_on_both(tmp_path):
    artifact, counts, _ = run(tmp_path, train=TRAIN, eval=[*EVAL, *TRAIN[:2]])
    wanted = {("identity/name", "CUSTOM_VALIDATION"): ("Identities on two splits", ERROR)}
    assert reasons(artifact, "train") == reasons(artifact, "eval") == wanted
    assert counts == {"errors": 2, "warnings": 0}
    assert "Also in split 'train': 1 of 3 identities ('a')." in report(artifact)
    assert blessed(artifact) == {"train": 0, "eval": 0}


def test_faults_in_train_are_found_although_the_schema_comes_from_it(tmp_path):
    broken = [{**one, keys.IMAGE_FORMAT: [b"webp"]} for one in TRAIN]
    for one in broken:
        del one[keys.IMAGE_WIDTH]
    artifact, _, _ = run(tmp_path, train=broken, eval=EVAL)
    assert set(reasons(artifact, "train")) == {
        ("image/format", "ENUM_TYPE_UNEXPECTED_STRING_VALUES"),
        ("image/width", "SCHEMA_MISSING_COLUMN"),
    }
    assert reasons(artifact, "eval") == {}


def test_train_identities_with_one_image_and_gaps_between_labels_are_warnings(tmp_path):
    artifact, counts, _ = run(tmp_path, train=[example("a", 0), example("b", 5)], eval=EVAL)
    assert reasons(artifact, "train") == {
        ("identity/name", "CUSTOM_VALIDATION"): ("Identities with one image", WARNING),
        ("identity/label", "CUSTOM_VALIDATION"): ("Labels with gaps", WARNING),
    }
    assert counts == {"errors": 0, "warnings": 2}
    assert "labels 0 to 1 without gaps. Found 2 labels from 0 to 5." in report(artifact)


def test_identities_are_not_judged_where_they_cannot_be_read(tmp_path):
    nameless = [example("c", 2, identity_name=None) for _ in range(3)]
    artifact, _, _ = run(tmp_path, train=TRAIN, eval=nameless)
    assert set(reasons(artifact, "eval")) == {("identity/name", "SCHEMA_MISSING_COLUMN")}


def test_long_lists_of_names_are_cut(tmp_path):
    singles = [example(name, 2 + i) for i, name in enumerate("ghijklm")]
    artifact, _, _ = run(tmp_path, train=TRAIN, eval=[*EVAL, *singles][2:])
    assert "'g', 'h', 'i', 'j', 'k' and 2 more" in report(artifact)


@pytest.mark.parametrize(
    ("fail_on", "after_warning", "after_error"),
    [("error", 1, 0), ("warning", 0, 0), ("never", 1, 1)],
)
def test_fail_on(tmp_path, fail_on, after_warning, after_error):
    doubtful, _, _ = run(tmp_path / "a", fail_on, train=TRAIN, eval=[*EVAL, example("e", 4)])
    faulty, _, _ = run(tmp_path / "b", fail_on, train=TRAIN, eval=[])
    assert blessed(doubtful) == {"train": 1, "eval": after_warning}
    assert blessed(faulty) == {"train": 1, "eval": after_error}


def test_unknown_severity_is_refused():
    with pytest.raises(ValueError, match="one of error, warning, never. Received: 'fatal'"):
        Params("fatal")


def test_several_reasons_of_one_feature_make_one_entry():
    found = [
        Anomaly("image/height", Info.INT_TYPE_SMALL_INT, "Small", "Found 0.", WARNING),
        Anomaly("image/width", Info.INT_TYPE_SMALL_INT, "Small", "Found 1."),
        Anomaly("image/height", Info.SCHEMA_NEW_COLUMN, "New", "Found it."),
    ]
    proto = anomalies_proto(schema_pb2.Schema(), found, data_missing=False)
    info = proto.anomaly_info["image/height"]
    assert sorted(proto.anomaly_info) == ["image/height", "image/width"]
    assert [reason.short_description for reason in info.reason] == ["Small", "New"]
    assert (info.severity, info.short_description) == (ERROR, "Multiple errors")
    assert info.description == "Found 0. Found it."


@pytest.mark.parametrize(
    ("key", "path"),
    [("image/height", "image/height"), ("a.b", "'a.b'"), ("it's", "'it''s'"), ("(x)", "(x)")],
)
def test_names_are_quoted_as_tfdv_does(key, path):
    assert serialized_path(key) == path


def test_order_of_examples_changes_no_byte(tmp_path):
    examples = TAMPERED["unknown format"][0]
    first, _, _ = run(tmp_path / "a", train=TRAIN, eval=examples)
    second, _, _ = run(tmp_path / "b", train=TRAIN[::-1], eval=examples[::-1])
    assert list(checks.files(first.uri)) == [
        "Split-eval/SchemaDiff.pb",
        "Split-train/SchemaDiff.pb",
        "anomalies.txt",
    ]
    assert checks.files(first.uri) == checks.files(second.uri)
