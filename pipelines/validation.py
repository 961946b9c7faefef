"""Holds a split's statistics against the schema and against what face data need; knows no Beam."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from facezoo.data import schema as keys
from pipelines.tfmd import SCHEMA_TYPES, common_stats, features_by_key

_Info = anomalies_pb2.AnomalyInfo
_NUM_NAMED = 5

Identities = Sequence[tuple[int, str, int]]


@dataclass(frozen=True)
class Anomaly:
    """One thing that is not as it should be.

    Args:
        key: The feature; empty when the split as a whole is meant.
        type: AnomalyInfo.Type.
        short: A few words; TFDV's where it knows the anomaly.
        long: What was expected, what was found.
        severity: AnomalyInfo.Severity.
    """

    key: str
    type: int
    short: str
    long: str
    severity: int = _Info.ERROR


def find_anomalies(
    schema: schema_pb2.Schema,
    statistics: statistics_pb2.DatasetFeatureStatistics,
    identities: Mapping[str, Identities],
) -> list[Anomaly]:
    """Returns everything that is wrong with a split, and nothing that only follows from it.

    Args:
        schema: What a record must look like.
        statistics: Of the split, under its name.
        identities: (label, name, num_images) of every identity of every split.
    """
    least = schema.dataset_constraints.min_examples_count
    if statistics.num_examples < least:
        text = f"Expected at least {least} example(s). Found {statistics.num_examples}."
        return [Anomaly("", _Info.DATASET_LOW_NUM_EXAMPLES, "Too few examples", text)]
    found, expected = features_by_key(statistics), {one.name: one for one in schema.feature}
    anomalies = []
    for key in sorted({*found, *expected}):
        if key not in found:
            text = "No example has the feature."
            anomalies.append(Anomaly(key, _Info.SCHEMA_MISSING_COLUMN, "Column dropped", text))
        elif key not in expected:
            text = "The feature is in the data but not in the schema."
            anomalies.append(Anomaly(key, _Info.SCHEMA_NEW_COLUMN, "New column", text))
        else:
            anomalies += feature_anomalies(expected[key], found[key], statistics.num_examples)
    if not {keys.IDENTITY_NAME, keys.IDENTITY_LABEL} & {anomaly.key for anomaly in anomalies}:
        anomalies += identity_anomalies(statistics.name, identities)
    return anomalies


def feature_anomalies(
    feature: schema_pb2.Feature,
    statistics: statistics_pb2.FeatureNameStatistics,
    num_examples: int,
) -> Iterator[Anomaly]:
    """Yields where a feature departs from its schema; of a wrong type nothing else is said."""
    key, common = feature.name, common_stats(statistics)
    if SCHEMA_TYPES[statistics.type] != feature.type:
        expected = schema_pb2.FeatureType.Name(feature.type)
        received = statistics_pb2.FeatureNameStatistics.Type.Name(statistics.type)
        text = f"Expected data of type {expected}. Received {received}."
        yield Anomaly(key, _Info.UNEXPECTED_DATA_TYPE, "Unexpected data type", text)
        return
    if common.num_non_missing < feature.presence.min_fraction * num_examples:
        text = f"{common.num_missing} of {num_examples} examples lack the feature."
        yield Anomaly(key, _Info.FEATURE_TYPE_LOW_FRACTION_PRESENT, "Missing values", text)
    size = math.prod(dim.size for dim in feature.shape.dim)
    fewest, most = common.min_num_values, common.max_num_values
    if feature.HasField("shape") and not fewest == most == size:
        text = f"Expected {size} value(s) in each example. Found {fewest} to {most}."
        yield Anomaly(key, _Info.INVALID_FEATURE_SHAPE, "Invalid feature shape", text)
    lowest, bound = statistics.num_stats.min, feature.int_domain.min
    if feature.HasField("int_domain") and lowest < bound:
        text = f"Expected at least {bound}. Found {lowest:.0f}."
        yield Anomaly(key, _Info.INT_TYPE_SMALL_INT, "Out-of-range values", text)
    if feature.HasField("string_domain"):
        yield from _unknown_values(feature, statistics.string_stats)


def _unknown_values(
    feature: schema_pb2.Feature, statistics: statistics_pb2.StringStatistics
) -> Iterator[Anomaly]:
    known = list(feature.string_domain.value)
    buckets = [one for one in statistics.rank_histogram.buckets if one.label not in known]
    if not buckets:
        return
    # A format that the zoo can decode, only not seen in training, is no reason to stop.
    decodable = all(one.label in keys.FORMATS for one in buckets)
    values = _first([f"{one.label!r} ({one.sample_count:.0f})" for one in buckets])
    yield Anomaly(
        feature.name,
        _Info.ENUM_TYPE_UNEXPECTED_STRING_VALUES,
        "Unexpected string values",
        f"Expected one of {known}. Found {values}.",
        _Info.WARNING if decodable else _Info.ERROR,
    )


def identity_anomalies(split: str, identities: Mapping[str, Identities]) -> Iterator[Anomaly]:
    """Yields what keeps a split's people from being learnt or compared."""
    rows = identities[split]
    yield from _label_anomalies(split, rows)
    num_images: Counter[str] = Counter()
    for _, name, num in rows:
        num_images[name] += num
    if len(num_images) < 2:
        text = f"Expected at least 2 identities. Found {_some(num_images)}."
        yield Anomaly(keys.IDENTITY_NAME, _Info.FEATURE_TYPE_LOW_UNIQUE, "Too few identities", text)
    for other in sorted(set(identities) - {split}):
        if shared := num_images.keys() & {name for _, name, _ in identities[other]}:
            text = f"Also in split {other!r}: {_share(shared, num_images)}."
            yield _rule("Identities on two splits", text)
    single = [name for name, num in num_images.items() if num == 1]
    if single and len(single) == len(num_images) and split == keys.EVAL:
        text = "No identity has more than one image: there is no genuine pair to evaluate."
        yield _rule("No genuine pairs", text)
    elif single:
        text = f"They are in no genuine pair: {_share(single, num_images)}."
        yield _rule("Identities with one image", text, severity=_Info.WARNING)


def _label_anomalies(split: str, rows: Identities) -> Iterator[Anomaly]:
    labels, names = Counter(row[0] for row in rows), Counter(row[1] for row in rows)
    doubtful = sorted(name for label, name, _ in rows if labels[label] > 1 or names[name] > 1)
    if doubtful:
        text = f"Expected one label per identity. Share a label or have several: {_some(doubtful)}."
        yield _rule("Ambiguous labels", text, keys.IDENTITY_LABEL)
    if split == keys.TRAIN and sorted(labels) != list(range(len(labels))):
        text = (
            f"Expected the labels 0 to {len(labels) - 1} without gaps. "
            f"Found {len(labels)} labels from {min(labels)} to {max(labels)}."
        )
        yield _rule("Labels with gaps", text, keys.IDENTITY_LABEL, _Info.WARNING)


def _rule(
    short: str, text: str, key: str = keys.IDENTITY_NAME, severity: int = _Info.ERROR
) -> Anomaly:
    return Anomaly(key, _Info.CUSTOM_VALIDATION, short, text, severity)


def _share(names: Collection[str], everyone: Collection[str]) -> str:
    return f"{len(names)} of {len(everyone)} identities ({_some(names)})"


def _some(names: Collection[str]) -> str:
    return _first([repr(name) for name in sorted(set(names))])


def _first(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _NUM_NAMED} more" if len(texts) > _NUM_NAMED else ""
    return ", ".join(texts[:_NUM_NAMED]) + more
