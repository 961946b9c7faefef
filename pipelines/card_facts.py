"""The facts of a model card, each with the report and the key it was read from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import statistics_pb2

from facezoo.data import schema
from facezoo.models import FaceModel
from facezoo.thresholds import far_name
from pipelines.tfmd import STATISTICS_FILE

Key = Sequence[str | int]
Facts = dict[str, dict[str, Any]]

_METRICS = "evaluation/metrics.json"
_THRESHOLDS = "evaluation/thresholds.json"
_PRESET = "model/preset.json"
_WEIGHTS = "model/model.keras"
_HISTORY = "model_run/history.json"
_PUSHED = "pushed_model/artifact.json"
_CURATION = "plan/curation.json"
_UNREADABLE = (OSError, ValueError, DecodeError, BadZipFile)
_NOT_THERE = (LookupError, AttributeError, TypeError)
SPLITS = (schema.TRAIN, schema.EVAL)
# Name in the card: report and key.
_SINGLE: Mapping[str, tuple[str, ...]] = {
    "name": (_PRESET, "name"),
    "backbone": (_PRESET, "backbone", "name"),
    "embedding_dim": (_PRESET, "embedding_dim"),
    "embedding_pooling": (_PRESET, "embedding_pooling"),
    "height": (_PRESET, "preprocessing", "height"),
    "width": (_PRESET, "preprocessing", "width"),
    "standardization": (_PRESET, "preprocessing", "standardization"),
    "alignment": (_PRESET, "preprocessing", "alignment"),
    "head_config": (_PRESET, "head"),
    "num_parameters": (_WEIGHTS, "num_parameters"),
    "keras_bytes": (_WEIGHTS, "num_bytes"),
    "saved_model_bytes": ("model/Format-Serving", "num_bytes"),
    "dataset": ("transformed_examples/dataset_info.json", "name"),
    "num_train": ("transformed_examples/counts.json", "train"),
    "num_quarantined": ("transformed_examples/counts.json", "quarantined"),
    "num_images": (_METRICS, "num_images"),
    "num_identities": (_METRICS, "num_identities"),
    "num_genuine": (_METRICS, "num_genuine"),
    "num_impostor": (_METRICS, "num_impostor"),
    "reasons": (_METRICS, "reasons"),
    "slice_point": (_METRICS, "slice_point"),
    "preprocessing_fingerprint": (_THRESHOLDS, "preprocessing"),
    "model_fingerprint": (_THRESHOLDS, "model"),
    "threshold_source": (_THRESHOLDS, "chosen_on"),
    "threshold_test": (_THRESHOLDS, "tested_on"),
    "calibration": (_THRESHOLDS, "calibration"),
    "default_point": (_THRESHOLDS, "default"),
    "blessed": ("model_blessing/artifact.json", "properties", "blessed"),
    "pushed": (_PUSHED, "properties", "pushed"),
}
_CURATED: Mapping[str, tuple[str, ...]] = {
    "plan_version": ("version",),
    "merged_people": ("counts", "merged_people"),
    "dropped_people": ("counts", "dropped_people"),
    "dropped_pictures": ("counts", "dropped_pictures"),
    "curated_people": ("after", "num_people"),
    "curated_images": ("after", "num_images"),
    "curation_witness": ("model", "name"),
}


class Reports:
    """The reports that numbers come from, by `"<input>/<file>"`.

    Args:
        folders: Folder of every input of ModelCardGen, by its key.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._contents: dict[str, Any] = {}

    def has(self, key: str) -> bool:
        """Whether there is such an input."""
        return key in self._folders

    def value(self, report: str, key: Key = ()) -> Any:
        """Returns what stands under a key.

        Raises:
            ValueError: The report is missing or damaged, or there is nothing under the key.
        """
        try:
            if report not in self._contents:
                folder, _, file = report.partition("/")
                self._contents[report] = _read(self._folders[folder] / file)
            value = self._contents[report]
            for part in key:
                is_message = isinstance(part, str) and not isinstance(value, Mapping)
                value = getattr(value, part) if is_message else value[part]
        except (*_UNREADABLE, *_NOT_THERE) as error:
            raise ValueError(f"{report} has no {list(key)}: {error!r}.") from error
        return value

    def fact(self, report: str, *key: str | int) -> dict[str, Any]:
        """Returns a value with the place it was read from."""
        return {"value": self.value(report, key), "report": report, "key": list(key)}


def _read(file: Path) -> Any:
    if file.is_dir():
        return {"num_bytes": sum(one.stat().st_size for one in file.rglob("*") if one.is_file())}
    if file.suffix == ".keras":
        model = FaceModel.from_preset(file.parent)
        parts = (model.backbone, model.embedding)
        num_parameters = sum(part.count_params() for part in parts)
        return {"num_parameters": num_parameters, "num_bytes": file.stat().st_size}
    if file.suffix == ".pb":
        return statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
    return json.loads(file.read_text(encoding="utf-8"))


def collect(reports: Reports) -> Facts:
    """Reads every fact that the card states.

    Raises:
        ValueError: A report is missing or lacks a fact.
    """
    facts = {name: reports.fact(report, *key) for name, (report, *key) in _SINGLE.items()}
    if facts["pushed"]["value"]:
        facts["pushed_version"] = reports.fact(_PUSHED, "properties", "pushed_version")
    if reports.has("plan"):
        facts |= {name: reports.fact(_CURATION, *key) for name, key in _CURATED.items()}
    facts |= _score_facts(reports) | _slice_facts(reports) | _byte_facts(reports)
    return facts | _training_facts(reports) | _data_facts(reports)


def _score_facts(reports: Reports) -> Facts:
    """`<row>/<score>`, `<row>/<point>/<field>` and `threshold/<point>/<field>`."""
    facts = {}
    for row, scores in reports.value(_METRICS).items():
        if not isinstance(scores, Mapping):
            continue
        for name, value in scores.items():
            if isinstance(value, int | float):
                facts[f"{row}/{name}"] = reports.fact(_METRICS, row, name)
        facts |= _point_facts(reports, row, _METRICS, row)
    return facts | _point_facts(reports, "threshold", _THRESHOLDS)


def _point_facts(reports: Reports, prefix: str, report: str, *key: str) -> Facts:
    return {
        f"{prefix}/{point['name']}/{field}": reports.fact(
            report, *key, "operating_points", number, field
        )
        for number, point in enumerate(reports.value(report, (*key, "operating_points")))
        for field in sorted(point)
    }


def _slice_facts(reports: Reports) -> Facts:
    """`slice/<number>/<field>`."""
    return {
        f"slice/{number}/{field}": reports.fact(_METRICS, "slices", number, field)
        for number, row in enumerate(reports.value(_METRICS, ("slices",)))
        for field in sorted(row)
    }


def _byte_facts(reports: Reports) -> Facts:
    """`quantization/<number>/<field>` and `quantization/<number>/<point>/<field>`."""
    facts = {}
    for number, row in enumerate(reports.value(_METRICS, ("quantization",))):
        place, prefix = ("quantization", number), f"quantization/{number}"
        for field in sorted(set(row) - {"val"}):
            facts[f"{prefix}/{field}"] = reports.fact(_METRICS, *place, field)
        for index, at_far in enumerate(row["val"]):
            for field in ("val_float", "val_bytes"):
                name = f"{prefix}/{far_name(at_far['target'])}/{field}"
                facts[name] = reports.fact(_METRICS, *place, "val", index, field)
    return facts


def _training_facts(reports: Reports) -> Facts:
    """`stage/<stage>/<field>`: the last epoch of every stage."""
    last = {epoch["stage"]: number for number, epoch in enumerate(reports.value(_HISTORY))}
    return {
        f"stage/{stage}/{field}": reports.fact(_HISTORY, number, field)
        for stage, number in last.items()
        for field in sorted(reports.value(_HISTORY, (number,)))
    }


def _data_facts(reports: Reports) -> Facts:
    """`<split>/..`: what StatisticsGen counted before the crops were made."""
    facts = {}
    for split in SPLITS:
        report = f"statistics/Split-{split}/{STATISTICS_FILE}"
        dataset = ("datasets", 0)
        facts[f"{split}/photographs"] = reports.fact(report, *dataset, "num_examples")
        for number, feature in enumerate(reports.value(report, (*dataset, "features"))):
            place = (*dataset, "features", number)
            name = feature.path.step[0]
            if name == schema.IDENTITY_NAME:
                facts[f"{split}/people"] = reports.fact(report, *place, "string_stats", "unique")
                for index, custom in enumerate(feature.custom_stats):
                    key = (*place, "custom_stats", index, "num")
                    facts[f"{split}/{custom.name}"] = reports.fact(report, *key)
            elif name in (schema.IMAGE_HEIGHT, schema.IMAGE_WIDTH):
                for field in ("min", "max"):
                    key = (*place, "num_stats", field)
                    facts[f"{split}/{field}_{name}"] = reports.fact(report, *key)
    return facts
