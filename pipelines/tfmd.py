"""tensorflow_metadata's files: where they lie in an artifact, and how to read them."""

import json

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from pipelines.artifacts import ExampleAnomalies, ExampleStatistics, Schema

STATISTICS_FILE = "FeatureStats.pb"
IDENTITIES_FILE = "identities.json"
SCHEMA_FILE = "schema.pbtxt"
ANOMALIES_FILE = "SchemaDiff.pb"
ANOMALIES_TEXT_FILE = "anomalies.txt"
# A feature's type in statistics -> its type in a schema.
SCHEMA_TYPES = {
    statistics_pb2.FeatureNameStatistics.INT: schema_pb2.INT,
    statistics_pb2.FeatureNameStatistics.FLOAT: schema_pb2.FLOAT,
    statistics_pb2.FeatureNameStatistics.STRING: schema_pb2.BYTES,
    statistics_pb2.FeatureNameStatistics.BYTES: schema_pb2.BYTES,
}


def read_statistics(
    artifact: ExampleStatistics, split: str
) -> statistics_pb2.DatasetFeatureStatistics:
    """Returns the statistics of a split."""
    content = (artifact.split_dir(split) / STATISTICS_FILE).read_bytes()
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(content).datasets[0]


def read_identities(artifact: ExampleStatistics, split: str) -> list[tuple[int, str, int]]:
    """Returns (label, name, num_images) of every identity of a split, sorted."""
    text = (artifact.split_dir(split) / IDENTITIES_FILE).read_text(encoding="utf-8")
    return [(label, name, num_images) for label, name, num_images in json.loads(text)]


def read_schema(artifact: Schema) -> schema_pb2.Schema:
    """Returns the schema."""
    text = (artifact.uri / SCHEMA_FILE).read_text(encoding="utf-8")
    return text_format.Parse(text, schema_pb2.Schema())


def read_anomalies(artifact: ExampleAnomalies, split: str) -> anomalies_pb2.Anomalies:
    """Returns the anomalies of a split."""
    content = (artifact.split_dir(split) / ANOMALIES_FILE).read_bytes()
    return anomalies_pb2.Anomalies.FromString(content)


def features_by_key(
    statistics: statistics_pb2.DatasetFeatureStatistics,
) -> dict[str, statistics_pb2.FeatureNameStatistics]:
    """Returns the statistics of every feature under its key in the records."""
    return {feature.path.step[0]: feature for feature in statistics.features}


def common_stats(
    feature: statistics_pb2.FeatureNameStatistics,
) -> statistics_pb2.CommonStatistics:
    """Returns presence and number of values, whatever the feature's type."""
    return getattr(feature, feature.WhichOneof("stats")).common_stats
