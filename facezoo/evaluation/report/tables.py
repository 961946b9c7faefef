"""The tables of a report of pairs: scores of systems, of slices, of spoiled images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from facezoo.metrics import wilson_interval
from facezoo.pages import Cell, Table, rows_table
from facezoo.pages.digits import NONE, anything, plain, rate_name, share

# Which way is better.
BETTER_UP, _DOWN = "\N{NO-BREAK SPACE}\N{UPWARDS ARROW}", "\N{NO-BREAK SPACE}\N{DOWNWARDS ARROW}"


def systems_table(systems: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row for each measure, one column for each system."""
    columns = list(systems.values())
    targets = dict.fromkeys(point["target"] for one in columns for point in one["val_at_far"])
    measures: dict[str, Callable[[Mapping[str, Any]], Cell]] = {
        "AUC" + BETTER_UP: lambda one: Cell(*plain(*_pair(one, "auc"))),
        "EER" + _DOWN: lambda one: Cell(*share(*_pair(one, "eer"))),
        "Accuracy" + BETTER_UP: _accuracy,
    }
    for target in targets:
        name = f"VAL at FAR \N{LESS-THAN OR EQUAL TO} {rate_name(target)}{BETTER_UP}"
        measures[name] = partial(_val_at_far, target)
    measures["Fisher ratio" + BETTER_UP] = _fisher
    return Table(
        "Scores of all pairs, each with its interval in brackets",
        ("Measure", *(one["name"] for one in columns)),
        tuple((Cell(name), *map(measure, columns)) for name, measure in measures.items()),
        tuple(_rules(columns)),
    )


def _pair(mapping: Mapping[str, Any], key: str) -> tuple[Any, Any]:
    return mapping[key], mapping.get(f"{key}_interval")


def _accuracy(system: Mapping[str, Any]) -> Cell:
    error = system["accuracy_standard_error"]
    note = "" if error is None else f"standard error {100.0 * error:.2g} %"
    return Cell(*share(*_pair(system, "accuracy")), note)


def _fisher(system: Mapping[str, Any]) -> Cell:
    ratio = system["fisher_ratio"]
    return Cell(NONE if ratio is None else f"{ratio:.3g}")


def _val_at_far(target: float, system: Mapping[str, Any]) -> Cell:
    for point in system["val_at_far"]:
        if point["target"] != target:
            continue
        if "refused" in point:
            return Cell("refused", note=point["refused"])
        far, interval = share(*_pair(point, "far"))
        note = f"threshold {point['threshold']:.4f}\nFAR {far} {interval}"
        return Cell(*share(*_pair(point, "val")), note)
    return Cell(NONE)


def _rules(systems: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """How the accuracy came about, once for all systems that share it."""
    names: dict[str, list[str]] = {}
    for one in systems:
        names.setdefault(one["accuracy_rule"], []).append(one["name"])
    for rule, users in names.items():
        of = "" if len(names) == 1 else f" of {', '.join(users)}"
        yield f"Accuracy{of}: {rule}"


def slice_table(system: Mapping[str, Any], confidence: float) -> Table:
    """Scores of one system on the parts of a protocol.

    Args:
        system: One of the report.
        confidence: Of the intervals of VAL and FAR, Wilson's over pairs.
    """
    rows = [
        (
            Cell(f"{row['slice']}: {row['value']}"),
            Cell(anything(row["num_genuine"])),
            Cell(anything(row["num_impostor"])),
            Cell(*plain(*_pair(row, "auc"))),
            _counted_share(row["val"], row["num_genuine"], confidence),
            _counted_share(row["far"], row["num_impostor"], confidence),
        )
        for row in system["slices"]
    ]
    header = ("Slice", "Genuine pairs", "Impostor pairs", "AUC", "VAL", "FAR")
    return Table(system["name"], header, tuple(rows))


def _counted_share(value: float | None, count: int, confidence: float) -> Cell:
    if value is None:
        return Cell(NONE)
    return Cell(*share(value, wilson_interval(round(value * count), count, confidence)))


def origins_table(systems: Mapping[str, Mapping[str, Any]]) -> Table:
    """Which files the systems came from, with the fingerprints that bind them."""
    keys = ("name", "model", "fingerprint", "preprocessing", "embedding_dim")
    return rows_table("Systems", [{key: one[key] for key in keys} for one in systems.values()])


def robustness_table(table: Mapping[str, Any]) -> Table:
    """Scores on spoiled images, and on the same images as they were."""
    title = axis_title(table)
    rows = [
        {title: "unspoiled" if row["value"] is None else row["value"]}
        | {key: value for key, value in row.items() if key != "value"}
        for row in table["rows"]
    ]
    return rows_table(title, rows)


def axis_title(table: Mapping[str, Any]) -> str:
    """What was done to the images, with its unit, and the FAR that VAL belongs to."""
    return f"{table['name']} ({table['unit']})" if table["unit"] else table["name"]


def quantization_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Scores with embeddings as floats and as bytes; a column of each VAL for every target FAR."""
    return rows_table("", [_spread(row) for row in rows])


def _spread(row: Mapping[str, Any]) -> dict[str, Any]:
    spread = {key: value for key, value in row.items() if key != "val"}
    for point in row["val"]:
        at = f" at FAR \N{LESS-THAN OR EQUAL TO} {rate_name(point['target'])}"
        spread |= {key + at: value for key, value in point.items() if key != "target"}
    return spread
