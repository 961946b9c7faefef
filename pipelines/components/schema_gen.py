"""SchemaGen: what a record must look like, inferred from the train split's statistics."""

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from facezoo.data import schema as keys
from pipelines.artifacts import Artifact, ExampleStatistics, Schema
from pipelines.component import Component, ComponentError, Context, Counts
from pipelines.tfmd import (
    SCHEMA_FILE,
    SCHEMA_TYPES,
    common_stats,
    features_by_key,
    read_statistics,
)


@dataclass(frozen=True)
class Params:
    """What SchemaGen adds to what it infers.

    Args:
        min_image_size: Smallest height and width that passes, pixels, at least 1.
    """

    min_image_size: int = 1

    def __post_init__(self) -> None:
        if self.min_image_size < 1:
            raise ValueError(
                f"min_image_size must be at least 1 pixel. Received: {self.min_image_size}."
            )


def infer_schema(
    statistics: statistics_pb2.DatasetFeatureStatistics, min_image_size: int = 1
) -> schema_pb2.Schema:
    """Returns the schema of a train split, features sorted by name.

    The features of `facezoo.data.schema` are required with the type they have there, one value
    each, even if the split lacks them: what reads the records relies on that. Any other feature is
    taken as it is.
    """
    found = features_by_key(statistics)
    result = schema_pb2.Schema()
    result.dataset_constraints.min_examples_count = 1
    for key in sorted({*keys.BYTES_KEYS, *keys.INT64_KEYS, *found}):
        feature = result.feature.add(name=key)
        if key in keys.BYTES_KEYS or key in keys.INT64_KEYS:
            _require(feature)
        else:
            _describe(feature, found[key])
    by_name = {feature.name: feature for feature in result.feature}
    by_name[keys.IMAGE_ENCODED].image_domain.SetInParent()
    by_name[keys.IMAGE_HEIGHT].int_domain.min = min_image_size
    by_name[keys.IMAGE_WIDTH].int_domain.min = min_image_size
    by_name[keys.IMAGE_FORMAT].string_domain.value.extend(_formats(found))
    return result


def _require(feature: schema_pb2.Feature) -> None:
    feature.type = schema_pb2.BYTES if feature.name in keys.BYTES_KEYS else schema_pb2.INT
    feature.presence.min_fraction, feature.presence.min_count = 1, 1
    feature.shape.dim.add(size=1)


def _describe(
    feature: schema_pb2.Feature, statistics: statistics_pb2.FeatureNameStatistics
) -> None:
    common = common_stats(statistics)
    feature.type = SCHEMA_TYPES[statistics.type]
    feature.presence.min_count = 1
    if common.num_missing == 0:
        feature.presence.min_fraction = 1
        if common.min_num_values == common.max_num_values:
            feature.shape.dim.add(size=common.max_num_values)


def _formats(found: Mapping[str, statistics_pb2.FeatureNameStatistics]) -> list[str]:
    """Returns the formats seen, of those that a record may have; all of them if none is seen."""
    statistics = found.get(keys.IMAGE_FORMAT, statistics_pb2.FeatureNameStatistics())
    seen = {bucket.label for bucket in statistics.string_stats.rank_histogram.buckets}
    return [name for name in keys.FORMATS if name in seen] or list(keys.FORMATS)


class SchemaGen(Component):
    """Infers the schema.

    Inputs:
        statistics: Of which only the train split is read.

    Outputs:
        schema: `schema.pbtxt`, a Schema in text form. `identity/label` and `identity/name` have no
            domain: the people of the eval split are not in the train split.

    Params:
        min_image_size.

    Guarantees:
        Deterministic. An empty train split gives the schema of `facezoo.data.schema`;
        ExampleValidator then tells that it is empty.
    """

    INPUTS = {"statistics": ExampleStatistics}
    OUTPUTS = {"schema": Schema}
    Params = Params

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        del context
        statistics, schema = inputs["statistics"], outputs["schema"]
        if keys.TRAIN not in statistics.splits:
            raise ComponentError(
                f"SchemaGen learns from the split {keys.TRAIN!r}. Received the splits: "
                f"{', '.join(statistics.splits) or 'none'}. Name one of them {keys.TRAIN!r}."
            )
        proto = infer_schema(read_statistics(statistics, keys.TRAIN), self.params.min_image_size)
        text = text_format.MessageToString(proto)
        (schema.uri / SCHEMA_FILE).write_text(text, encoding="utf-8")
        return {"features": len(proto.feature)}
