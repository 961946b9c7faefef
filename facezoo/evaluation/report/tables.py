"""The tables of a report as text in cells; the template knows rows, not what they mean."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from facezoo.evaluation.report.digits import NONE, anything, plain, rate_name, share
from facezoo.metrics import wilson_interval

# Words for keys of the report; any other key is shown as it is, less its underscores.
_WORDS: Final[Mapping[str, str]] = {
    "auc": "AUC",
    "eer": "EER",
    "far": "FAR",
    "val": "VAL",
    "num": "number of",
    "dim": "length",
    "jpeg": "JPEG",
}
_INTERVAL = "_interval"
# Which way is better.
BETTER_UP, _DOWN = "\N{NO-BREAK SPACE}\N{UPWARDS ARROW}", "\N{NO-BREAK SPACE}\N{DOWNWARDS ARROW}"
# Keys whose values are shares, written in percent.
_SHARES = {"accuracy", "clipped", "eer", "far", "val"}


@dataclass(frozen=True)
class Cell:
    """One cell: what it says, the interval beside it, and a remark below."""

    text: str
    interval: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table: every row has as many cells as the header.

    Args:
        caption: What it shows.
        header: Of each column; the first column names the rows.
        rows: The cells.
        notes: Remarks below, one line each.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


def words(key: str) -> str:
    """Writes a key of the report for a reader.

    Example:
        >>> words("num_resamples"), words("chosen_far")
        ('Number of resamples', 'Chosen FAR')
    """
    text = " ".join(_WORDS.get(part, part) for part in key.split("_"))
    return text[:1].upper() + text[1:]


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
    return mapping[key], mapping.get(key + _INTERVAL)


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


def rows_table(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Any list of rows: a column for each key, an interval beside what it belongs to."""
    rows = [_spread(row) for row in rows]
    keys = dict.fromkeys(key for row in rows for key in row)
    columns = [key for key in keys if not key.endswith(_INTERVAL)]
    cells = (tuple(_cell(row, key) for key in columns) for row in rows)
    return Table(caption, tuple(words(key) for key in columns), tuple(cells))


def facts(content: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """Whatever a flat table says, name by name; tables within it are left to `inner_tables`."""
    return [
        (words(key), _cell(content, key))
        for key, value in content.items()
        if not key.endswith(_INTERVAL) and not _is_rows(value)
    ]


def inner_tables(content: Mapping[str, Any]) -> list[Table]:
    """The lists of rows that a table holds beside its facts."""
    return [rows_table(words(key), value) for key, value in content.items() if _is_rows(value)]


def _spread(row: Mapping[str, Any]) -> dict[str, Any]:
    """Turns rows within a row, one for each target FAR, into columns."""
    spread = {key: value for key, value in row.items() if not _is_rows(value)}
    for value in filter(_is_rows, row.values()):
        for inner in value:
            at = f" at FAR \N{LESS-THAN OR EQUAL TO} {rate_name(inner['target'])}"
            spread |= {key + at: one for key, one in inner.items() if key != "target"}
    return spread


def _is_rows(value: object) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value)


def _cell(row: Mapping[str, Any], key: str) -> Cell:
    value, interval = row.get(key), row.get(key + _INTERVAL)
    if isinstance(value, Mapping):
        return Cell(
            ", ".join(f"{name.replace('_', ' ')} {anything(one)}" for name, one in value.items())
        )
    if not isinstance(value, float):
        return Cell(anything(value))
    if _SHARES.intersection(key.split("_")):
        return Cell(*share(value, interval))
    if interval is not None or key == "threshold":
        return Cell(*plain(value, interval))
    return Cell(anything(value))
