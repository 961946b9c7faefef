"""A model card as a pure function of its facts, and the check that it still tells the truth."""

import importlib.resources
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from facezoo.data import schema
from pipelines.card_facts import SPLITS, Reports

_ROWS = {
    "model": "**trained model**",
    "uncurated_model": "model before curation",
    "baseline_model": "last blessed model",
    "untrained": "untrained network",
    "pixel": "raw pixels",
}
_FARS = ("far_1e-2", "far_1e-3")


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
            "front_scores": _front_scores(values),
            "threshold_people": _threshold_people(values),
            "head": _head(values["head_config"]),
            "version": values.get("pushed_version", "not pushed"),
            "training_data": _training_data(values),
            "training_table": _training_table(values),
            "data_table": _data_table(values),
            "score_table": _score_table(values),
            "threshold_table": _threshold_table(values),
        }
        return template.read_text(encoding="utf-8").format_map({**values, **words})
    except KeyError as error:
        raise ValueError(f"No report states {error}.") from error


def _table(header: str, rows: Iterable[Iterable[str]]) -> str:
    columns = header.count("|") - 1
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([header, "|---" * columns + "|", *lines])


def _number(value: float | None, form: str = ".4f") -> str:
    return "not measured" if value is None else format(value, form)


def _range(values: Mapping[str, Any], split: str, name: str) -> str:
    low, high = (format(values[f"{split}/{end}_{name}"], ".0f") for end in ("min", "max"))
    return low if low == high else f"{low} to {high}"


def _interval(values: Mapping[str, Any], name: str) -> str:
    bounds = values.get(f"{name}_interval")
    return f" [{bounds[0]:.4f}, {bounds[1]:.4f}]" if bounds else ""


def _verdict(values: Mapping[str, Any]) -> str:
    reasons = "; ".join(values["reasons"])
    if values["blessed"]:
        return f"The evaluation blessed this model: {reasons}."
    return f"**The evaluation did not bless this model. Do not use it.** {reasons}."


def _front_scores(values: Mapping[str, Any]) -> str:
    """The scores of the front matter, as YAML; no VAL where the pairs are too few for its FAR."""
    vals = [f"val_at_{far}" for far in _FARS if f"model/val_at_{far}" in values]
    names = {"roc_auc": "auc", "eer": "eer", **dict(zip(vals, vals, strict=True))}
    return "\n".join(
        f"    - type: {kind}\n      value: {values[f'model/{name}']}"
        for kind, name in names.items()
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


def _training_table(values: Mapping[str, Any]) -> str:
    stages = [name.split("/")[1] for name in values if name.startswith("stage/")]
    rows = [
        (
            stage,
            f"{values[f'stage/{stage}/step']:,}",
            _number(values[f"stage/{stage}/loss"]),
            _number(values.get(f"stage/{stage}/class_accuracy")),
        )
        for stage in dict.fromkeys(stages)
    ]
    return _table("| Stage | Up to step | Loss | Accuracy on training classes |", rows)


def _data_table(values: Mapping[str, Any]) -> str:
    rows = [
        (
            split,
            f"{values[f'{split}/photographs']:,}",
            f"{values[f'{split}/people']:,}",
            _range(values, split, "images_per_identity"),
            _range(values, split, schema.IMAGE_HEIGHT),
            _range(values, split, schema.IMAGE_WIDTH),
        )
        for split in SPLITS
    ]
    return _table(
        "| Split | Photographs | People | Per person | Height, pixels | Width, pixels |", rows
    )


def _score_table(values: Mapping[str, Any]) -> str:
    rows = []
    for row, title in _ROWS.items():
        if f"{row}/auc" not in values:
            continue
        accuracy = _number(values.get(f"{row}/accuracy"))
        if (error := values.get(f"{row}/accuracy_standard_error")) is not None:
            accuracy += f" \N{PLUS-MINUS SIGN} {error:.4f}"
        auc, eer = (_number(values[f"{row}/{score}"]) for score in ("auc", "eer"))
        vals = (
            _number(values.get(f"{row}/val_at_{far}")) + _interval(values, f"{row}/{far}/val")
            for far in _FARS
        )
        rows.append((title, auc, eer, accuracy, *vals))
    return _table("| | AUC | EER | Accuracy | VAL@FAR 1e-2 | VAL@FAR 1e-3 |", rows)


def _threshold_table(values: Mapping[str, Any]) -> str:
    names = [name.split("/")[1] for name in values if name.startswith("threshold/")]
    rows = [
        (
            f"`{name}`",
            _number(values[f"threshold/{name}/threshold"], ".5g"),
            *(
                _number(values[f"threshold/{name}/{rate}"])
                + _interval(values, f"threshold/{name}/{rate}")
                for rate in ("val", "far")
            ),
        )
        for name in dict.fromkeys(names)
    ]
    return _table("| Operating point | Threshold | VAL | FAR |", rows)


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
