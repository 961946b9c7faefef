"""Tables of a page as text in cells; the template knows rows, not what they mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from facezoo.pages.digits import anything, plain, share

# Words for keys of a report; any other key is shown as it is, less its underscores.
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
    """Writes a key of a report for a reader.

    Example:
        >>> words("num_resamples"), words("chosen_far")
        ('Number of resamples', 'Chosen FAR')
    """
    text = " ".join(_WORDS.get(part, part) for part in key.split("_"))
    return text[:1].upper() + text[1:]


def rows_table(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Any list of rows: a column for each key, an interval beside what it belongs to."""
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
