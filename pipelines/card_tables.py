"""The tables of a model card, in Markdown, from its facts."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from facezoo.data import schema
from pipelines.card_facts import SPLITS

_ROWS: Final = {
    "model": "**trained model**",
    "uncurated_model": "model before curation",
    "baseline_model": "last blessed model",
    "untrained": "untrained network",
    "pixel": "raw pixels",
}
FARS: Final = ("far_1e-2", "far_1e-3")


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


def training_table(values: Mapping[str, Any]) -> str:
    """The last epoch of every stage of the training."""
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


def data_table(values: Mapping[str, Any]) -> str:
    """The photographs of each split."""
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


def score_table(values: Mapping[str, Any]) -> str:
    """The model and what it must beat."""
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
            for far in FARS
        )
        rows.append((title, auc, eer, accuracy, *vals))
    return _table("| | AUC | EER | Accuracy | VAL@FAR 1e-2 | VAL@FAR 1e-3 |", rows)


def threshold_table(values: Mapping[str, Any]) -> str:
    """What every stored threshold does to other people."""
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


def slice_table(values: Mapping[str, Any]) -> str:
    """AUC, VAL and FAR of pairs whose pictures look alike."""
    rows = [
        (
            f"{values[f'{row}/slice']}: {values[f'{row}/value']}",
            f"{values[f'{row}/num_genuine']:,}",
            f"{values[f'{row}/num_impostor']:,}",
            *(
                _number(values[f"{row}/{score}"]) + _interval(values, f"{row}/{score}")
                for score in ("auc", "val", "far")
            ),
        )
        for row in _rows(values, "slice")
    ]
    return _table("| Pairs | Genuine | Impostor | AUC | VAL | FAR |", rows)


def byte_table(values: Mapping[str, Any]) -> str:
    """What one byte per number costs."""
    far = FARS[0]
    rows = [
        (
            f"{values[f'{row}/bytes']:,}",
            *(
                _number(values.get(f"{row}/{score}_{kind}"))
                for score in ("auc", f"{far}/val")
                for kind in ("float", "bytes")
            ),
        )
        for row in _rows(values, "quantization")
    ]
    return _table(
        "| Numbers | AUC, 4 bytes each | AUC, 1 byte each "
        "| VAL@FAR 1e-2, 4 bytes each | VAL@FAR 1e-2, 1 byte each |",
        rows,
    )


def _rows(values: Mapping[str, Any], prefix: str) -> list[str]:
    """Returns `<prefix>/<number>` of every row, in order."""
    numbers = (name.split("/")[1] for name in values if name.startswith(f"{prefix}/"))
    return [f"{prefix}/{number}" for number in dict.fromkeys(numbers)]
