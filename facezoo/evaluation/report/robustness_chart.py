"""How scores fall as images get worse, as lines with intervals."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from facezoo.evaluation.report.tables import axis_title
from facezoo.pages import axes, words
from facezoo.pages.axes import Chart

# Values further apart than this ratio are put on a logarithmic axis: pixels, not degrees.
_WIDE = 16.0
_SCORES = ("val", "accuracy", "auc")


def robustness_chart(table: Mapping[str, Any]) -> Chart:
    """VAL with its interval, accuracy and AUC over what was done to the images.

    Args:
        table: One of the report's `robustness`; a row whose value is None, of unspoiled images,
            becomes dotted lines.
    """
    spoiled = [row for row in table["rows"] if row["value"] is not None]
    rows = sorted(spoiled, key=lambda row: row["value"])
    values = [row["value"] for row in rows]
    lines = [_line(number, key, rows) for number, key in enumerate(_SCORES)]
    lines[0]["error_y"] = _error_bars(rows)
    for clean in (row for row in table["rows"] if row["value"] is None):
        lines += _levels(clean, [values[0], values[-1]])
    is_wide = values[0] > 0 and values[-1] > _WIDE * values[0]
    axis = axes.titled(html.escape(axis_title(table))) | {
        "type": "log" if is_wide else "linear",
        "tickvals": values,
        "ticktext": [f"{value:,g}" for value in values],
    }
    return {
        "data": lines,
        "layout": axes.layout(axis, axes.share_axis("Share (AUC, accuracy, VAL)")),
    }


def _line(number: int, key: str, rows: Sequence[Mapping[str, Any]]) -> Chart:
    return axes.line_style(number) | {
        "mode": "lines+markers",
        "name": words(key),
        "x": [row["value"] for row in rows],
        "y": [row.get(key) for row in rows],
        "hovertemplate": "%{x:,}: %{y:.4p}",
    }


def _levels(clean: Mapping[str, Any], ends: Sequence[float]) -> list[Chart]:
    return [
        axes.line_style(number)
        | {
            "mode": "lines",
            "x": list(ends),
            "y": [clean[key]] * 2,
            "line": {"color": axes.COLORS[number], "dash": "dot", "width": 1},
            "name": f"{words(key)}, unspoiled",
            "showlegend": False,
            "hovertemplate": "%{y:.4p}",
        }
        for number, key in enumerate(_SCORES)
        if clean.get(key) is not None
    ]


def _error_bars(rows: Sequence[Mapping[str, Any]]) -> Chart:
    known = [
        (row["val"], *row["val_interval"]) if row.get("val_interval") else (0.0, 0.0, 0.0)
        for row in rows
    ]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - val for val, _, high in known],
        "arrayminus": [val - low for val, low, _ in known],
    }
