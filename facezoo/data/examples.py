"""`FaceRecord` to serialised tf.Example and back, without TensorFlow."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from facezoo.data import schema
from facezoo.data.schema import FaceRecord

_Field = descriptor_pb2.FieldDescriptorProto


def _example_class() -> Any:
    """Builds the message class from tensorflow/core/example/{example,feature}.proto's numbers."""
    file = descriptor_pb2.FileDescriptorProto(
        name="facezoo/example.proto", package="facezoo", syntax="proto3"
    )

    def message(name: str, *fields: tuple[str, int, int, int, str]) -> Any:
        added = file.message_type.add(name=name)
        for field_name, number, kind, label, type_name in fields:
            added.field.add(
                name=field_name, number=number, type=kind, label=label, type_name=type_name or None
            )
        return added

    one, many = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED
    message("BytesList", ("value", 1, _Field.TYPE_BYTES, many, ""))
    message("FloatList", ("value", 1, _Field.TYPE_FLOAT, many, ""))
    message("Int64List", ("value", 1, _Field.TYPE_INT64, many, ""))
    feature = message(
        "Feature",
        ("bytes_list", 1, _Field.TYPE_MESSAGE, one, ".facezoo.BytesList"),
        ("float_list", 2, _Field.TYPE_MESSAGE, one, ".facezoo.FloatList"),
        ("int64_list", 3, _Field.TYPE_MESSAGE, one, ".facezoo.Int64List"),
    )
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = message(
        "Features", ("feature", 1, _Field.TYPE_MESSAGE, many, ".facezoo.Features.FeatureEntry")
    )
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=one)
    entry.field.add(
        name="value", number=2, type=_Field.TYPE_MESSAGE, label=one, type_name=".facezoo.Feature"
    )
    message("Example", ("features", 1, _Field.TYPE_MESSAGE, one, ".facezoo.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("facezoo.Example"))


_Example = _example_class()
_TEXT_FIELDS = {
    schema.IMAGE_FORMAT: "format",
    schema.IMAGE_FILENAME: "filename",
    schema.IDENTITY_NAME: "identity",
    schema.DATASET_NAME: "dataset",
}
_INT_FIELDS = {
    schema.IMAGE_HEIGHT: "height",
    schema.IMAGE_WIDTH: "width",
    schema.IDENTITY_LABEL: "label",
}


def encode_features(features: Mapping[str, Sequence[bytes | str | int | float]]) -> bytes:
    """Returns a serialised tf.Example; equal features give equal bytes.

    Args:
        features: By key, values that are all text or bytes, all int, or all float.
    """
    example = _Example()
    for key, values in features.items():
        feature = example.features.feature[key]
        if all(isinstance(value, bytes | str) for value in values):
            feature.bytes_list.value.extend(
                value.encode("utf-8") if isinstance(value, str) else value for value in values
            )
        elif all(isinstance(value, int) for value in values):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return example.SerializeToString(deterministic=True)


def encode_example(record: FaceRecord) -> bytes:
    """Returns the serialised tf.Example of a record; equal records give equal bytes."""
    fields = {schema.IMAGE_ENCODED: "encoded", **_TEXT_FIELDS, **_INT_FIELDS}
    return encode_features({key: [getattr(record, name)] for key, name in fields.items()})


def parse_features(serialized: bytes) -> dict[str, list[bytes] | list[int] | list[float]]:
    """Returns every feature of a serialised tf.Example as a list of values by key.

    Raises:
        ValueError: The bytes are not a tf.Example.
    """
    example = _Example()
    try:
        example.ParseFromString(serialized)
    except Exception as error:
        raise ValueError(
            f"A record of {len(serialized)} bytes is not a tf.Example: {error}."
        ) from error
    found = {}
    for key, value in example.features.feature.items():
        kind = value.WhichOneof("kind")
        found[key] = list(getattr(value, kind).value) if kind else []
    return found


def parse_example(serialized: bytes) -> FaceRecord:
    """Returns the record in a serialised tf.Example.

    Raises:
        ValueError: The bytes are not a tf.Example, or a key of the schema is missing.
    """
    features = parse_features(serialized)
    try:
        values: dict[str, Any] = {"encoded": features[schema.IMAGE_ENCODED][0]}
        values |= {name: features[key][0].decode("utf-8") for key, name in _TEXT_FIELDS.items()}
        values |= {name: int(features[key][0]) for key, name in _INT_FIELDS.items()}
    except (KeyError, IndexError, AttributeError) as error:
        wanted = ", ".join((*schema.BYTES_KEYS, *schema.INT64_KEYS))
        raise ValueError(
            f"A record does not fit the schema ({error!r}). Expected one value each of: {wanted}. "
            f"Received: {', '.join(sorted(features)) or 'no feature'}."
        ) from error
    return FaceRecord(**values)
