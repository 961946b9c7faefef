"""ExampleValidator: whether the data are fit to train and evaluate on."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from pipelines.artifacts import Artifact, ExampleAnomalies, ExampleStatistics, Schema
from pipelines.component import Component, Context, Counts
from pipelines.tfmd import (
    ANOMALIES_FILE,
    ANOMALIES_TEXT_FILE,
    read_identities,
    read_schema,
    read_statistics,
)
from pipelines.validation import Anomaly, find_anomalies

_Info = anomalies_pb2.AnomalyInfo
# The lowest severity that withholds the blessing.
_FAIL_ON = {"error": _Info.ERROR, "warning": _Info.WARNING, "never": _Info.ERROR + 1}


@dataclass(frozen=True)
class Params:
    """How strict ExampleValidator is.

    Args:
        fail_on: Lowest severity that withholds the blessing of a split: `"error"`, `"warning"` or
            `"never"`.
    """

    fail_on: str = "error"

    def __post_init__(self) -> None:
        if self.fail_on not in _FAIL_ON:
            raise ValueError(
                f"fail_on must be one of {', '.join(_FAIL_ON)}. Received: {self.fail_on!r}."
            )


def anomalies_proto(
    schema: schema_pb2.Schema, anomalies: Sequence[Anomaly], data_missing: bool
) -> anomalies_pb2.Anomalies:
    """Returns the anomalies of a split as TFDV would file them: one entry per feature."""
    result = anomalies_pb2.Anomalies(anomaly_name_format="SERIALIZED_PATH")
    result.baseline.CopyFrom(schema)
    result.data_missing = data_missing
    for key, group in groupby(sorted(anomalies, key=attrgetter("key")), attrgetter("key")):
        reasons = list(group)
        info = result.anomaly_info[serialized_path(key)] if key else result.dataset_anomaly_info
        if key:
            info.path.step.append(key)
        info.severity = max(reason.severity for reason in reasons)
        info.description = " ".join(reason.long for reason in reasons)
        info.short_description = reasons[0].short if len(reasons) == 1 else "Multiple errors"
        for reason in reasons:
            info.reason.add(
                type=reason.type, short_description=reason.short, description=reason.long
            )
    return result


def serialized_path(key: str) -> str:
    """Returns a feature's name as TFDV writes a path of one step: quoted if it holds . ( ) or '."""
    return key if re.fullmatch(r"\([^()]*\)|[^().']+", key) else "'" + key.replace("'", "''") + "'"


def describe_split(split: str, num_examples: int, anomalies: Sequence[Anomaly]) -> list[str]:
    """Returns lines for people: one for the split, one for each anomaly."""
    errors, warnings = _count(anomalies)
    return [f"Split {split}: examples {num_examples}, errors {errors}, warnings {warnings}"] + [
        f"  {_Info.Severity.Name(one.severity)} {one.key or 'split'}: {one.short}. {one.long}"
        for one in anomalies
    ]


def _count(anomalies: Sequence[Anomaly]) -> tuple[int, int]:
    severities = [anomaly.severity for anomaly in anomalies]
    return severities.count(_Info.ERROR), severities.count(_Info.WARNING)


class ExampleValidator(Component):
    """Validates every split's statistics against the schema and the needs of face data.

    Inputs:
        statistics: With `identities.json`, as StatisticsGen writes it.
        schema: As SchemaGen writes it.

    Outputs:
        anomalies: Per split `SchemaDiff.pb`, an Anomalies proto; `anomalies.txt` says the same for
            people. Property `blessed`: JSON {split: 1 or 0}.

    Params:
        fail_on.

    Guarantees:
        Deterministic. Never stops the run itself, so that the evidence is kept: Transform refuses
        examples with a split that is not blessed, and names `anomalies.txt`.
        Errors: a feature missing, new, of a wrong type or shape, lacking in some examples or out
        of its domain; an empty split; fewer than two identities; an identity on two splits; an
        identity of two labels or the reverse; an eval split without any genuine pair.
        Warnings: identities with one image; a format that train has not; gaps between the labels
        of train.
    """

    INPUTS = {"statistics": ExampleStatistics, "schema": Schema}
    OUTPUTS = {"anomalies": ExampleAnomalies}
    Params = Params

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        del context
        statistics, artifact = inputs["statistics"], outputs["anomalies"]
        schema = read_schema(inputs["schema"])
        identities = {split: read_identities(statistics, split) for split in statistics.splits}
        lines, blessed, everything = [], {}, []
        for split in statistics.splits:
            stats = read_statistics(statistics, split)
            anomalies = find_anomalies(schema, stats, identities)
            proto = anomalies_proto(schema, anomalies, data_missing=stats.num_examples == 0)
            artifact.split_dir(split).mkdir()
            content = proto.SerializeToString(deterministic=True)
            (artifact.split_dir(split) / ANOMALIES_FILE).write_bytes(content)
            lines += describe_split(split, stats.num_examples, anomalies)
            worst = max((one.severity for one in anomalies), default=_Info.UNKNOWN)
            blessed[split] = int(worst < _FAIL_ON[self.params.fail_on])
            everything += anomalies
        text = "\n".join(lines) + "\n"
        (artifact.uri / ANOMALIES_TEXT_FILE).write_text(text, encoding="utf-8")
        artifact.splits = statistics.splits
        artifact.properties["blessed"] = json.dumps(blessed)
        errors, warnings = _count(everything)
        return {"errors": errors, "warnings": warnings}
