"""StatisticsGen: every number against NumPy; shards and order change no byte; nothing is lost."""

import errno
import itertools
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import statistics_pb2

from facezoo.data import schema
from facezoo.data.examples import encode_example, parse_features
from facezoo.data.records import RecordWriter
from facezoo.data.schema import FaceRecord
from pipelines.artifacts import Examples, ExampleStatistics
from pipelines.component import ComponentError
from pipelines.components import statistics_gen
from pipelines.components.statistics_gen import (
    MergeCounts,
    StatisticsGen,
    check_written,
    write_statistics,
)
from pipelines.counting import DistinctCounter, SplitCounts
from pipelines.statistics import statistics_proto
from pipelines.tfmd import common_stats, features_by_key, read_identities, read_statistics
from tests.checks import component as checks

INT, FLOAT, STRING, BYTES = (
    getattr(statistics_pb2.FeatureNameStatistics, name)
    for name in ("INT", "FLOAT", "STRING", "BYTES")
)
PEOPLE = ["zoë", "adam", "adam", "li", "li", "li"]
RECORDS = [
    FaceRecord(
        encoded=b"\xff" * (10 + 7 * (i % 4)),
        format="png" if i == 4 else "jpeg",
        height=112 + 8 * (i % 3),
        width=92,
        filename=f"{name}/{'x' * i}.jpg",
        identity=name,
        label=["adam", "li", "zoë"].index(name),
        dataset="tiny",
    )
    for i, name in enumerate(PEOPLE)
]


def make_examples(folder, **splits):
    """Writes an Examples artifact; a split is a list of shards, a shard a list of records."""
    artifact = Examples(folder)
    artifact.splits = list(splits)
    for split, shards in splits.items():
        artifact.split_dir(split).mkdir(parents=True)
        for i, shard in enumerate(shards):
            name = f"data_tfrecord-{i:05d}-of-{len(shards):05d}"
            with RecordWriter(artifact.split_dir(split) / name) as writer:
                for one in shard:
                    writer.write(one if isinstance(one, bytes) else encode_example(one))
    return artifact


def run(examples, folder):
    component = StatisticsGen(**checks.channels(StatisticsGen))
    outputs, counts = checks.run(component, {"examples": examples}, folder)
    return outputs["statistics"], counts


def count(records):
    counts = SplitCounts()
    for record in records:
        counts.add(record if isinstance(record, dict) else parse_features(encode_example(record)))
    return counts


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    train = [RECORDS[:2], [], RECORDS[2:]]
    examples = make_examples(folder / "examples", train=train, eval=[[]], holdout=[])
    return run(examples, folder / "run")


@pytest.fixture(scope="module")
def features(made):
    return features_by_key(read_statistics(made[0], "train"))


@checks.each
def test_component(check, tmp_path):
    examples = make_examples(tmp_path / "examples", train=[RECORDS[:2], RECORDS[2:]], eval=[[]])
    component = StatisticsGen(**checks.channels(StatisticsGen))
    check(component, {"examples": examples}, tmp_path / "check")


def test_counts_and_files(made):
    statistics, counts = made
    assert counts == {"train": 6, "eval": 0, "holdout": 0}
    assert statistics.splits == ["train", "eval", "holdout"]
    assert sorted(checks.files(statistics.uri)) == sorted(
        f"Split-{split}/{name}"
        for split in statistics.splits
        for name in ("FeatureStats.pb", "identities.json")
    )


def test_dataset_is_named_after_its_split_and_lists_all_features_sorted(made):
    stats = read_statistics(made[0], "train")
    assert (stats.name, stats.num_examples) == ("train", 6)
    keys = [feature.path.step[0] for feature in stats.features]
    assert keys == sorted((*schema.BYTES_KEYS, *schema.INT64_KEYS))


def test_types(features):
    assert {key: feature.type for key, feature in features.items()} == (
        dict.fromkeys(schema.BYTES_KEYS, STRING)
        | dict.fromkeys(schema.INT64_KEYS, INT)
        | {schema.IMAGE_ENCODED: BYTES}
    )


@pytest.mark.parametrize("key", (*schema.BYTES_KEYS, *schema.INT64_KEYS))
def test_common_numbers(features, key):
    common = common_stats(features[key])
    assert (common.num_non_missing, common.num_missing) == (6, 0)
    assert (common.min_num_values, common.max_num_values, common.tot_num_values) == (1, 1, 6)
    assert common.avg_num_values == 1
    buckets = common.num_values_histogram.buckets
    assert [(one.low_value, one.high_value, one.sample_count) for one in buckets] == [
        (1, 1, 0.6)
    ] * 10


@pytest.mark.parametrize(
    ("key", "field"),
    [
        (schema.IMAGE_HEIGHT, "height"),
        (schema.IMAGE_WIDTH, "width"),
        (schema.IDENTITY_LABEL, "label"),
    ],
)
def test_numeric_numbers(features, key, field):
    values = np.array([getattr(record, field) for record in RECORDS])
    check_numeric(features[key].num_stats, values)


@pytest.mark.parametrize("size", [777, 778])
def test_numeric_numbers_of_many_values(size):
    values = np.random.default_rng(0).integers(-50, 1000, size)
    counts = count({schema.IMAGE_HEIGHT: [int(value)]} for value in values)
    feature = features_by_key(statistics_proto("train", counts).datasets[0])[schema.IMAGE_HEIGHT]
    check_numeric(feature.num_stats, values)


def check_numeric(stats, values):
    np.testing.assert_allclose(stats.mean, values.mean(), rtol=1e-14)
    np.testing.assert_allclose(stats.std_dev, values.std(), rtol=1e-12)
    ranked = np.sort(values)
    assert (stats.min, stats.max) == (ranked[0], ranked[-1])
    assert stats.median == ranked[len(values) // 2]
    assert stats.num_zeros == np.sum(values == 0)
    standard, quantiles = stats.histograms
    assert standard.type == statistics_pb2.Histogram.STANDARD
    assert quantiles.type == statistics_pb2.Histogram.QUANTILES
    check_equal_widths(standard.buckets, values)
    edges = [quantiles.buckets[0].low_value, *(one.high_value for one in quantiles.buckets)]
    assert edges == [ranked[min(i * len(values) // 10, len(values) - 1)] for i in range(11)]
    assert [one.sample_count for one in quantiles.buckets] == [len(values) / 10] * 10


def check_equal_widths(buckets, values):
    if values.min() == values.max():
        (bucket,) = buckets
        assert (bucket.low_value, bucket.high_value) == (values[0], values[0])
        assert bucket.sample_count == len(values)
        return
    expected, edges = np.histogram(values, bins=10)
    assert [bucket.sample_count for bucket in buckets] == expected.tolist()
    np.testing.assert_allclose([bucket.low_value for bucket in buckets], edges[:-1])
    np.testing.assert_allclose([bucket.high_value for bucket in buckets], edges[1:])


@pytest.mark.parametrize(
    ("key", "field", "ranking"),
    [
        (schema.IMAGE_FORMAT, "format", [("jpeg", 5), ("png", 1)]),
        (schema.IDENTITY_NAME, "identity", [("li", 3), ("adam", 2), ("zoë", 1)]),
        (schema.DATASET_NAME, "dataset", [("tiny", 6)]),
    ],
)
def test_string_numbers(features, key, field, ranking):
    stats = features[key].string_stats
    assert stats.unique == len(ranking)
    assert [(one.value, one.frequency) for one in stats.top_values] == ranking
    buckets = stats.rank_histogram.buckets
    assert [(one.label, one.sample_count) for one in buckets] == ranking
    assert [one.low_rank for one in buckets] == list(range(len(ranking)))
    assert all(one.high_rank == one.low_rank for one in buckets)
    check_average_length(stats, field)


def check_average_length(stats, field):
    lengths = [len(getattr(record, field).encode()) for record in RECORDS]
    assert stats.avg_length == np.float32(np.mean(lengths))


def test_equally_frequent_values_come_larger_first_as_in_tfdv():
    counts = count({schema.IDENTITY_NAME: [name]} for name in (b"b", b"d", b"c", b"c"))
    feature = features_by_key(statistics_proto("train", counts).datasets[0])[schema.IDENTITY_NAME]
    assert [one.value for one in feature.string_stats.top_values] == ["c", "d", "b"]


def test_many_values_are_cut_at_the_top_20_and_at_1000_ranks():
    counts = count({schema.IDENTITY_NAME: [b"%04d" % i]} for i in range(1200))
    feature = features_by_key(statistics_proto("train", counts).datasets[0])[schema.IDENTITY_NAME]
    stats = feature.string_stats
    assert (stats.unique, len(stats.top_values)) == (1200, 20)
    assert len(stats.rank_histogram.buckets) == 1000


def test_filename_has_unique_and_length_only(features):
    stats = features[schema.IMAGE_FILENAME].string_stats
    assert stats.unique == 6
    assert not stats.top_values and not stats.rank_histogram.buckets
    check_average_length(stats, "filename")


def test_encoded_numbers(features):
    stats = features[schema.IMAGE_ENCODED].bytes_stats
    lengths = np.array([len(record.encoded) for record in RECORDS])
    assert (stats.min_num_bytes, stats.max_num_bytes) == (lengths.min(), lengths.max())
    assert stats.max_num_bytes_int == lengths.max()
    assert stats.avg_num_bytes == np.float32(lengths.mean())
    assert stats.unique == len({record.encoded for record in RECORDS}) == 4


def test_images_per_identity(features):
    custom = {one.name: one.num for one in features[schema.IDENTITY_NAME].custom_stats}
    assert custom == {
        "min_images_per_identity": 1,
        "mean_images_per_identity": 2,
        "max_images_per_identity": 3,
    }


def test_identities_are_listed_with_label_and_number_of_images(made):
    assert read_identities(made[0], "train") == [(0, "adam", 2), (1, "li", 3), (2, "zoë", 1)]


@pytest.mark.parametrize("split", ["eval", "holdout"])
def test_empty_split(made, split):
    stats = read_statistics(made[0], split)
    assert (stats.name, stats.num_examples, len(stats.features)) == (split, 0, 0)
    assert read_identities(made[0], split) == []


def test_shards_and_order_change_no_byte(made, tmp_path):
    one_each = [[record] for record in reversed(RECORDS)]
    examples = make_examples(tmp_path / "examples", train=one_each, eval=[], holdout=[[], []])
    statistics, _ = run(examples, tmp_path / "run")
    assert checks.files(statistics.uri) == checks.files(made[0].uri)


def test_order_of_merging_does_not_matter():
    parts = [RECORDS[:1], RECORDS[1:3], RECORDS[3:], []]
    fn, found = MergeCounts(), set()
    for order in itertools.permutations(range(len(parts))):
        left, right = fn.create_accumulator(), fn.create_accumulator()
        for i in order[:2]:
            left = fn.add_input(left, count(parts[i]))
        for i in order[2:]:
            right = fn.add_input(right, count(parts[i]))
        merged = fn.extract_output(fn.merge_accumulators([left, right]))
        found.add(statistics_proto("train", merged).SerializeToString(deterministic=True))
    whole = statistics_proto("train", count(RECORDS))
    assert found == {whole.SerializeToString(deterministic=True)}


def test_merging_leaves_its_inputs_alone():
    fn = MergeCounts()
    first, second = count(RECORDS[:3]), count(RECORDS[3:])
    merged = fn.merge_accumulators([first, second])
    fn.add_input(merged, count(RECORDS))
    assert statistics_proto("s", first) == statistics_proto("s", count(RECORDS[:3]))
    assert statistics_proto("s", second) == statistics_proto("s", count(RECORDS[3:]))


def test_missing_and_repeated_values_are_counted():
    counts = count([{"a": [1, 2, 3]}, {"a": [4]}, {"a": []}, {}, {"a": [5]}])
    (feature,) = statistics_proto("train", counts).datasets[0].features
    common = feature.num_stats.common_stats
    assert (common.num_non_missing, common.num_missing) == (3, 2)
    assert (common.min_num_values, common.max_num_values, common.tot_num_values) == (1, 3, 5)
    assert common.avg_num_values == np.float32(5 / 3)
    histogram = common.num_values_histogram
    assert histogram.buckets[0].low_value == 1 and histogram.buckets[9].high_value == 3


def test_a_feature_outside_the_schema_is_not_counted_value_by_value():
    counts = count([{"i": [i], "f": [i / 7], "b": [b"%d" % i]} for i in range(50)])
    found = features_by_key(statistics_proto("train", counts).datasets[0])
    assert {key: feature.type for key, feature in found.items()} == {
        "i": INT,
        "f": FLOAT,
        "b": STRING,
    }
    assert all(not one.values and not one.distinct.count() for one in counts.features.values())
    assert not found["i"].num_stats.histograms


def test_names_that_are_not_utf8_are_shown_escaped():
    counts = count([{schema.IDENTITY_NAME: [b"\xff\xfe"], schema.IDENTITY_LABEL: [0]}])
    assert counts.identity_rows() == [[0, "\\xff\\xfe", 1]]


def test_distinct_counter_is_exact_below_its_limit():
    counter = DistinctCounter(limit=100)
    for i in range(500):
        counter.add(b"%d" % (i % 99))
    assert counter.count() == 99


def test_distinct_counter_estimates_above_its_limit_whatever_the_order():
    values = [b"%d" % i for i in range(20000)]
    forward, odd, even = (DistinctCounter(limit=1000) for _ in range(3))
    for value in values:
        forward.add(value)
    for i, value in enumerate(reversed(values)):
        (odd if i % 2 else even).add(value)
    even.merge(odd)
    assert even.count() == forward.count()
    standard_error = 20000 / 1000**0.5
    assert abs(forward.count() - 20000) < 4 * standard_error
    assert len(forward._hashes) <= 2000 and len(even._hashes) <= 2000


def test_broken_record_stops_with_one_clear_line(tmp_path):
    examples = make_examples(tmp_path / "examples", train=[RECORDS, RECORDS], eval=[RECORDS])
    shard = examples.shards("train")[1]
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ComponentError, match="byte 0 of .*00001-of-00002 cannot be read") as error:
        run(examples, tmp_path / "statistics")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (count([{"a": [1]}, {"a": [b"1"]}]), "'a' holds values of several types: bytes, int"),
        (count([{"a": [1], "b": [b""]}, {"a": [0.5], "b": [1]}]), "'a' holds .*float, int.*1 more"),
    ],
)
def test_mixed_types_stop_with_one_clear_line(tmp_path, counts, message):
    examples = make_examples(tmp_path / "examples", train=[])
    statistics = written(tmp_path, counts)
    with pytest.raises(ComponentError, match=message) as error:
        check_written(statistics, examples, "train")
    assert "\n" not in str(error.value)


def written(tmp_path, counts):
    statistics = ExampleStatistics(tmp_path / "statistics")
    statistics.split_dir("train").mkdir(parents=True)
    write_statistics(counts, str(statistics.split_dir("train")), "train")
    return statistics


def test_a_record_that_is_no_example_is_named(tmp_path):
    examples = make_examples(tmp_path / "examples", train=[[RECORDS[0], b"\xff\xff\xff"]])
    with pytest.raises(ComponentError, match="Split-train/data_tfrecord.* is not a tf.Example"):
        run(examples, tmp_path / "statistics")


def test_a_full_disk_stops_with_one_clear_line(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(statistics_gen, "write_statistics", fail)
    examples = make_examples(tmp_path / "examples", train=[RECORDS])
    with pytest.raises(ComponentError, match="No space left on device") as error:
        run(examples, tmp_path / "statistics")
    assert "\n" not in str(error.value)


def test_a_lost_record_is_noticed(tmp_path):
    examples = make_examples(tmp_path / "examples", train=[RECORDS[:4], RECORDS[4:]])
    assert check_written(written(tmp_path, count(RECORDS)), examples, "train") == 6
    shutil.rmtree(tmp_path / "statistics")
    with pytest.raises(ComponentError, match="6 lie in the Examples, 5 were counted"):
        check_written(written(tmp_path, count(RECORDS[:5])), examples, "train")


def test_examples_written_by_tensorflow_are_counted_alike():
    example = tf.train.Example()
    example.features.feature["image/height"].int64_list.value.append(7)
    example.features.feature["extra"].float_list.value.extend([0.5, 1.5])
    counts = count([parse_features(example.SerializeToString())])
    found = features_by_key(statistics_proto("train", counts).datasets[0])
    assert found["image/height"].num_stats.mean == 7
    assert found["extra"].num_stats.common_stats.tot_num_values == 2


def test_identities_file_is_plain_json(made):
    text = (made[0].split_dir("train") / "identities.json").read_text(encoding="utf-8")
    assert json.loads(text) == [[0, "adam", 2], [1, "li", 3], [2, "zoë", 1]]
    assert "zoë" in text
