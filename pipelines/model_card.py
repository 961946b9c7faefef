"""A model card as a pure function of its facts, and the check that it still tells the truth."""

import importlib.resources
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from facezoo.data import schema
from pipelines import card_tables
from pipelines.card_facts import Reports

# Names that the Hugging Face Hub knows, where it has one.
_FRONT: Final = {
    "library_name": "keras",
    "pipeline_tag": "image-feature-extraction",
    "license": "other",
    "license_name": "see-considerations",
}
_TASK: Final = {
    "type": "face-verification",
    "name": "Face verification, all pairs of people never seen in training",
}
_METRICS: Final = {
    "auc": "AUC",
    "eer": "EER",
    "val_at_far_1e-2": "VAL at FAR 1e-2",
    "val_at_far_1e-3": "VAL at FAR 1e-3",
}
_ALWAYS: Final = ("auc", "eer")
_METRIC_TYPES: Final = {"auc": "roc_auc"}
_FILES: Final = {"saved_model": "SavedModel", "keras": "model.keras"}


def render(card: Mapping[str, Any]) -> str:
    """Returns the card's text.

    Args:
        card: Content of card.json: `data_license`, words, and `facts`.

    Raises:
        ValueError: A fact that the template or a table asks for is missing.
    """
    values = {name: fact["value"] for name, fact in card["facts"].items()}
    template = importlib.resources.files("model_cards") / "TEMPLATE.md"
    try:
        words = {
            "data_license": card["data_license"],
            "verdict": _verdict(values),
            "front_matter": _front_matter(values),
            "size": _size(values),
            "threshold_people": _threshold_people(values),
            "head": _head(values["head_config"]),
            "version": values.get("pushed_version", "not pushed"),
            "training_data": _training_data(values),
            "training_table": card_tables.training_table(values),
            "data_table": card_tables.data_table(values),
            "score_table": card_tables.score_table(values),
            "threshold_table": card_tables.threshold_table(values),
            "slice_table": card_tables.slice_table(values),
            "byte_table": card_tables.byte_table(values),
        }
        return template.read_text(encoding="utf-8").format_map({**values, **words})
    except KeyError as error:
        raise ValueError(f"No report states {error}.") from error


def _verdict(values: Mapping[str, Any]) -> str:
    reasons = "; ".join(values["reasons"])
    if values["blessed"]:
        return f"The evaluation blessed this model: {reasons}."
    return f"**The evaluation did not bless this model. Do not use it.** {reasons}."


def _front_matter(values: Mapping[str, Any]) -> str:
    """What the Hugging Face Hub reads, its model-index of measured scores among it, as YAML."""
    result = {
        "task": _TASK,
        "dataset": {"type": values["dataset"], "name": values["dataset"], "split": schema.EVAL},
        "metrics": [
            {"type": _METRIC_TYPES.get(name, name), "name": title, "value": values[f"model/{name}"]}
            for name, title in _METRICS.items()
            # A VAL is missing where the pairs are too few for its FAR.
            if name in _ALWAYS or f"model/{name}" in values
        ],
    }
    front = {
        **_FRONT,
        "tags": ["face-recognition", "face-verification", "facezoo", values["backbone"]],
        "model-index": [{"name": values["name"], "results": [result]}],
    }
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True).rstrip()


def _size(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{values[f'{name}_bytes'] / 1e6:.1f} MB as {title}" for name, title in _FILES.items()
    )


def _threshold_people(values: Mapping[str, Any]) -> str:
    chosen = f"Chosen on {values['threshold_source']}."
    if values["threshold_test"] is None:
        return f"{chosen} There were no other people to test them on."
    return f"{chosen} VAL and FAR were measured on {values['threshold_test']}, other people."


def _head(config: Mapping[str, Any] | None) -> str:
    if config is None:
        return "none"
    return ", ".join(
        f"`{value}`" if key == "name" else f"{key} {value}" for key, value in config.items()
    )


def _training_data(values: Mapping[str, Any]) -> str:
    made = f"{values['num_train']:,} face crops of {values['train/people']:,} people"
    refused = f"{values['num_quarantined']:,} crops were refused and listed."
    if "plan_version" not in values:
        return f"The training saw {made}; {refused}"
    return (
        f"Before training the data were curated: there were {made}; {refused} The plan "
        f"`{values['plan_version']}`, judged by {values['curation_witness']}, merged "
        f"{values['merged_people']:,} people into others and dropped {values['dropped_people']:,} "
        f"people and {values['dropped_pictures']:,} pictures. The training saw "
        f"{values['curated_images']:,} crops of {values['curated_people']:,} people."
    )


def differences(card_folder: Path, folders: Mapping[str, Path]) -> list[str]:
    """Compares a card with the reports it names.

    Args:
        card_folder: Holds `card.json` and `README.md`.
        folders: Folder of every input of ModelCardGen, by its key.

    Returns:
        One sentence for every fact that is no longer what its report says, and for a text that is
        not what the facts give; empty if the card is right.
    """
    card = json.loads((card_folder / "card.json").read_text(encoding="utf-8"))
    reports, found = Reports(folders), []
    for name, fact in card["facts"].items():
        try:
            value = reports.value(fact["report"], fact["key"])
        except ValueError as error:
            found.append(f"{name}: {error}")
            continue
        if value != fact["value"]:
            found.append(f"{name} is {fact['value']!r}, but {fact['report']} says {value!r}.")
    if (card_folder / "README.md").read_text(encoding="utf-8") != render(card):
        found.append("README.md is not what card.json and TEMPLATE.md give.")
    return found
