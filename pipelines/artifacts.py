"""What components hand to each other: typed folders with TFX's names and files."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pipelines.json_files import write_json

SIDECAR = "artifact.json"


@dataclass
class Artifact:
    """A folder, its type and its properties.

    Args:
        uri: The folder. While a component runs this is a folder aside; the runner moves it into
            place when the component has finished.
        properties: What TFX keeps in ML Metadata; written to `artifact.json` in the folder.
        fingerprint: Digest of the folder's contents; empty until the runner has committed it.
    """

    TYPE: ClassVar[str] = "Artifact"

    uri: Path
    properties: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    def write_sidecar(self) -> None:
        """Writes type and properties beside the data."""
        write_json(self.uri / SIDECAR, {"type": self.TYPE, "properties": self.properties})


@dataclass
class _Split(Artifact):
    @property
    def splits(self) -> list[str]:
        """Names of the splits that the folder holds."""
        return json.loads(self.properties["split_names"])

    @splits.setter
    def splits(self, names: list[str]) -> None:
        self.properties["split_names"] = json.dumps(names)

    def split_dir(self, split: str) -> Path:
        """Folder of one split, as TFX names it."""
        return self.uri / f"Split-{split}"


class Examples(_Split):
    """`Split-<s>/data_tfrecord-00000-of-0000N` (tf.Example, keys of `facezoo.data.schema`).

    Crops also have `Index-<s>/`, the offset index of `RecordIndex`.
    """

    TYPE = "Examples"

    def shards(self, split: str) -> list[Path]:
        """The split's TFRecord files in order."""
        return sorted(self.split_dir(split).glob("data_tfrecord-*"))

    def index_dir(self, split: str) -> Path:
        """Where the split's `RecordIndex` lies, if it has one: aside, TFX globs `Split-<s>/*`."""
        return self.uri / f"Index-{split}"


class ExampleStatistics(_Split):
    """`Split-<s>/FeatureStats.pb` (DatasetFeatureStatisticsList)."""

    TYPE = "ExampleStatistics"


class Schema(Artifact):
    """`schema.pbtxt`."""

    TYPE = "Schema"


class ExampleAnomalies(_Split):
    """`Split-<s>/SchemaDiff.pb` (Anomalies)."""

    TYPE = "ExampleAnomalies"


class Model(Artifact):
    """`model.keras`, `preset.json`, `Format-Serving/saved_model.pb`."""

    TYPE = "Model"


class ModelRun(Artifact):
    """TensorBoard logs and `history.json` of a training."""

    TYPE = "ModelRun"


class CurationPlan(Artifact):
    """`plan.jsonl`, `review.csv`, `report.html`, `curation.json`, `class_map.json`."""

    TYPE = "CurationPlan"


class ModelEvaluation(Artifact):
    """`metrics.json`, `thresholds.json`, plots and TensorBoard logs."""

    TYPE = "ModelEvaluation"


class ModelBlessing(Artifact):
    """`BLESSED` or `NOT_BLESSED`."""

    TYPE = "ModelBlessing"


class InfraBlessing(Artifact):
    """`INFRA_BLESSED` or `INFRA_NOT_BLESSED`, and `stamped_model/`."""

    TYPE = "InfraBlessing"


class PushedModel(Artifact):
    """A copy of what was pushed; `pushed`, `pushed_destination`, `pushed_version`."""

    TYPE = "PushedModel"


class InferenceResult(_Split):
    """`Split-<s>/embeddings-00000-of-0000N.tfrecord` or `.parquet`, and the quarantine list."""

    TYPE = "InferenceResult"


class ModelCard(Artifact):
    """A preset folder: `README.md` (the card), `card.json`, plots, `preset.json`, `model.keras`."""

    TYPE = "ModelCard"
