"""InfraValidator: whether the exported model answers a server as it answers Keras."""

import itertools
import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from facezoo import presets, serving
from facezoo.data import schema
from facezoo.data.dataset import image_dataset
from facezoo.data.examples import parse_example
from facezoo.data.records import read_records
from facezoo.models import FaceModel
from pipelines.artifacts import Artifact, Examples, InfraBlessing, Model, ModelEvaluation
from pipelines.component import Component, ComponentError, Context, Counts
from pipelines.json_files import write_json
from pipelines.serving_trial import NotServableError, judge, try_out

_BLESSED = "INFRA_BLESSED"
_NOT_BLESSED = "INFRA_NOT_BLESSED"
_STAMPED_MODEL = "stamped_model"
_SERVING_DIR = "Format-Serving"
_THRESHOLDS_FILE = "thresholds.json"
_REPORT_FILE = "report.json"

_Thresholds = Mapping[str, Any]


@dataclass(frozen=True)
class Params:
    """What a served model is asked, and how near its answers must be.

    Args:
        num_photographs: Records of the eval split it is asked about, 1 to 256.
        tolerance: Largest difference allowed from the Keras model's answers (absolute; relative
            for norms above 1), and of an embedding's length from 1.
        timeout: Seconds that loading and answering may take.

    Raises:
        ValueError: A value is out of range.
    """

    num_photographs: int = 8
    tolerance: float = 1e-5
    timeout: float = 300.0

    def __post_init__(self) -> None:
        if not 1 <= self.num_photographs <= 256:
            raise ValueError(
                f"num_photographs must be in [1, 256]. Received: {self.num_photographs}."
            )
        for name in ("tolerance", "timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0. Received: {getattr(self, name)}.")


def read_thresholds(evaluation: Path) -> _Thresholds:
    """Returns the table that was measured with the model.

    Raises:
        ComponentError: It cannot be read.
    """
    try:
        return json.loads((evaluation / _THRESHOLDS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ComponentError(
            f"The thresholds in {evaluation} cannot be read: {error}. "
            "Delete that folder and run the pipeline again."
        ) from error


def ask_keras(
    model_dir: Path, shards: Sequence[Path], num_photographs: int, thresholds: _Thresholds
) -> list[serving.Request]:
    """Makes requests from the first photographs of the shards, with the Keras model's answers.

    The answers go the way of training, from TFRecord through `image_dataset`, so that a served
    model which prepares its images in another way is found out.

    Raises:
        ComponentError: The model cannot be read, or there are no photographs.
    """
    records = itertools.chain.from_iterable(map(read_records, shards))
    first = itertools.islice(records, num_photographs)
    photographs = [parse_example(record).encoded for record in first]
    if not photographs:
        raise ComponentError(
            "InfraValidator needs photographs to ask about, but the eval split is empty. "
            "Give more people, or a larger share of them to the eval split."
        )
    try:
        model = FaceModel.from_preset(model_dir)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ComponentError(
            f"The Keras model in {model_dir} cannot be loaded: {error}. "
            "Delete that folder and run the pipeline again."
        ) from error
    # The loader computes on the CPU too: a GPU rounds convolutions by more than the tolerance.
    with tf.device("CPU"):
        dataset = image_dataset(shards, model.preprocessing, len(photographs))
        image, _ = next(iter(dataset))
        return serving.make_requests(model, photographs, image.numpy(), thresholds)


def stamp(model_dir: Path, folder: Path, thresholds: _Thresholds) -> None:
    """Copies a model's SavedModel and stores its thresholds in it, and its preset beside it.

    Raises:
        NotServableError: There is no SavedModel of this library, or the thresholds are not its own.
    """
    source = model_dir / _SERVING_DIR
    if not source.is_dir():
        raise NotServableError(f"The model has no {source.name}/.")
    shutil.copytree(source, folder)
    try:
        serving.store_thresholds(folder, thresholds)
    except ValueError as error:
        # This machine's folders are none of the report's.
        raise NotServableError(str(error).replace(f"{folder.parent}/", "")) from error
    preset = json.loads((model_dir / presets.PRESET_FILE).read_text(encoding="utf-8"))
    (folder / serving.EXTRA_DIR).mkdir(exist_ok=True)
    presets.save(folder / serving.EXTRA_DIR, {**preset, "thresholds": thresholds})


class InfraValidator(Component):
    """Serves the model once, as a server would, before it may be pushed.

    TensorFlow's own C++ loader, which TensorFlow Serving is built on, loads the SavedModel in a
    process without Python TensorFlow, Keras and facezoo, and answers every signature. The server's
    binary itself is not run.

    Inputs:
        model: `Format-Serving/` is tried out; the preset and `model.keras` say what is right.
        transformed_examples: The first photographs of its eval split are asked about.
        evaluation: Its `thresholds.json` is what `verify_pair` decides by.

    Outputs:
        blessing: `INFRA_BLESSED` and `stamped_model/`, the SavedModel as it is pushed: with the
            thresholds in its graph, the preset in `assets.extra/preset.json`, and the warm-up
            requests for TensorFlow Serving; or `INFRA_NOT_BLESSED`. `report.json` says why and how
            near the answers are.

    Guarantees:
        Deterministic. A model that cannot be served, or whose thresholds were measured with
        another, is not blessed, with the `reason` among the properties, and the run goes on; an
        unreadable Keras model or an empty split stops it.
    """

    INPUTS = {"model": Model, "transformed_examples": Examples, "evaluation": ModelEvaluation}
    OUTPUTS = {"blessing": InfraBlessing}
    Params = Params

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        del context  # It runs no Beam.
        model, blessing = inputs["model"].uri, outputs["blessing"]
        shards = inputs["transformed_examples"].shards(schema.EVAL)
        thresholds = read_thresholds(inputs["evaluation"].uri)
        stamped = blessing.uri / _STAMPED_MODEL
        reason, requests, report = None, [], {}
        try:
            stamp(model, stamped, thresholds)
            requests = ask_keras(model, shards, self.params.num_photographs, thresholds)
            serving.write_warmup(stamped, requests)
            report = try_out(stamped, self.params.timeout)
            judge(report, self.params.tolerance)
        except NotServableError as error:
            reason = str(error)
            shutil.rmtree(stamped, ignore_errors=True)
        _write_blessing(
            blessing, reason, {"tolerance": self.params.tolerance, "signatures": report}
        )
        worst = max((found["max_difference"] for found in report.values()), default=None)
        return {
            "requests": len(requests),
            "signatures": len(report),
            "blessed": int(reason is None),
            **({"reason": reason} if reason else {"largest difference": f"{worst:.1e}"}),
        }


def _write_blessing(blessing: Artifact, reason: str | None, report: dict[str, Any]) -> None:
    blessed = reason is None
    (blessing.uri / (_BLESSED if blessed else _NOT_BLESSED)).touch()
    write_json(blessing.uri / _REPORT_FILE, {"blessed": blessed, "reason": reason, **report})
    blessing.properties |= {"blessed": int(blessed), "has_model": int(blessed)}
    if not blessed:
        blessing.properties["reason"] = reason
