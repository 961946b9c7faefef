"""The report of the paper's own protocol: one page for people, and runs for TensorBoard."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from facezoo.evaluation.report.charts import chosen_points, roc_chart
from facezoo.evaluation.report.curves import thin
from facezoo.evaluation.report.distance_chart import bar_chart
from facezoo.evaluation.report.report_page import write_report_page
from facezoo.evaluation.report.tables import BETTER_UP
from facezoo.event_file import write_event_file
from facezoo.metrics import DistanceHistogram
from facezoo.pages import Cell, Figure, Table, rows_table
from facezoo.pages.axes import Chart
from facezoo.pages.digits import justified_decimals, rate_name

_TEMPLATE = "holdout.html.j2"
_ROC_CAPTION = (
    "ROC of the pairs of all splits together: the higher a curve, the better. Markers are the "
    "splits, each at the threshold chosen on itself; a FAR of 0 stands at half an impostor pair."
)
_MOST_BARS = 128
_FAR: Final = "FAR \N{LESS-THAN OR EQUAL TO} "
_WORDS: Final[Mapping[str, str]] = {
    "num_genuine": "genuine pairs",
    "num_impostor": "impostor pairs",
    "num_people": "people with genuine pairs",
}
_VALS: Final[Mapping[str, str]] = {"val": "VAL", "macro_val": "Macro VAL"}


def write_holdout_html(
    path: Path, report: Mapping[str, Any], histograms: Mapping[str, DistanceHistogram]
) -> None:
    """Writes the report of splits as one page; equal input gives equal bytes.

    Args:
        path: Of the page; a file there is replaced.
        report: The content of report.json, of the kind `"holdout"`.
        histograms: Distances of the pairs of all splits, by the keys of `report["systems"]`.

    Raises:
        ValueError: `histograms` and `report` do not speak of the same systems and pairs.
        OSError: The file cannot be written.
    """
    _check(report, histograms)
    systems = report["systems"]
    figures = {
        "curves": [Figure("roc", _ROC_CAPTION, _roc(systems, histograms))],
        "histograms": [
            Figure(
                f"distances-{key}",
                f"{systems[key]['name']}: the further apart, the better.",
                _distances(systems[key], histogram),
            )
            for key, histogram in histograms.items()
        ],
    }
    tables = {
        "scores": scores_table(systems),
        "splits": [(one["name"], split_tables(one)) for one in systems.values()],
    }
    write_report_page(path, _TEMPLATE, report, figures, **tables)


def write_holdout_tensorboard(folder: Path, report: Mapping[str, Any]) -> None:
    """Writes one run for each system: its means over splits.

    Args:
        folder: Of the runs, each named by its system's key; made if it is not there.
        report: The content of report.json, of the kind `"holdout"`.

    Raises:
        OSError: A file cannot be written.
    """
    for key, system in report["systems"].items():
        numbers = {"evaluation/auc": system["auc"]}
        for point in chosen_points(system):
            for val in _VALS:
                name = f"evaluation/{val}_at_far_{rate_name(point['target'])}"
                numbers[name] = point[val]
        write_event_file(folder / key, numbers, {})


def scores_table(systems: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row for each measure, one column for each system: means over splits."""
    columns = list(systems.values())
    targets = dict.fromkeys(point["target"] for one in columns for point in one["val_at_far"])
    measures: dict[str, Callable[[Mapping[str, Any]], Cell]] = {
        "AUC": lambda one: with_error(one["auc"], one["auc_standard_error"], 1.0, 4)
    }
    for target in targets:
        for key, name in _VALS.items():
            measures[f"{name} at {_FAR}{rate_name(target)}"] = partial(_val_at_far, key, target)
    return Table(
        "Mean over splits, each with its standard error",
        ("Measure", *(one["name"] for one in columns)),
        tuple((Cell(name + BETTER_UP), *map(of, columns)) for name, of in measures.items()),
    )


def _val_at_far(key: str, target: float, system: Mapping[str, Any]) -> Cell:
    (point,) = (point for point in system["val_at_far"] if point["target"] == target)
    if "refused" in point:
        return Cell("refused", note=point["refused"])
    return with_error(point[key], point[f"{key}_standard_error"], 100.0, 2, "\N{NO-BREAK SPACE}%")


def with_error(value: float, error: float, scale: float, decimals: int, unit: str = "") -> Cell:
    """Writes a mean and its standard error, of which two digits are shown.

    Args:
        value: The mean.
        error: Its standard error.
        scale: Factor of both.
        decimals: Where the error is zero.
        unit: Written behind the mean.
    """
    decimals = justified_decimals(scale * error, decimals)
    text = f"{scale * value:.{decimals}f}{unit}"
    return Cell(text, f"\N{PLUS-MINUS SIGN} {scale * error:.{decimals}f}")


def split_tables(system: Mapping[str, Any]) -> list[Table]:
    """One table for each FAR: what every split says."""
    return [
        rows_table(
            f"{system['name']} at {_FAR}{rate_name(point['target'])}",
            [
                {"split": number + 1} | {_WORDS.get(key, key): value for key, value in row.items()}
                for number, row in enumerate(point["splits"])
            ],
        )
        for point in chosen_points(system)
    ]


def _check(report: Mapping[str, Any], histograms: Mapping[str, DistanceHistogram]) -> None:
    if not histograms or list(histograms) != list(report["systems"]):
        raise ValueError(
            "histograms must hold the report's systems in their order: "
            f"{', '.join(report['systems'])}. Received: {', '.join(histograms) or 'none'}."
        )
    for key, histogram in histograms.items():
        for kind in ("genuine", "impostor"):
            expected = report["protocol"][f"num_{kind}"]
            count = int(getattr(histogram, kind).sum())
            if count != expected:
                raise ValueError(
                    f"The report counts {expected:,} {kind} pairs, the histogram of {key!r} "
                    f"{count:,}."
                )


def _roc(
    systems: Mapping[str, Mapping[str, Any]], histograms: Mapping[str, DistanceHistogram]
) -> Chart:
    """The pooled curves, with every split as an operating point."""
    points = {
        key: {
            "name": system["name"],
            "val_at_far": [row for point in chosen_points(system) for row in point["splits"]],
        }
        for key, system in systems.items()
    }
    return roc_chart(points, {key: thin(one.roc_curve()) for key, one in histograms.items()})


def _distances(system: Mapping[str, Any], histogram: DistanceHistogram) -> Chart:
    num_bins = int(np.flatnonzero(histogram.genuine + histogram.impostor)[-1]) + 1
    # A power of two, as the number of bins is: no bar is cut off.
    bins_per_bar = 2 ** math.ceil(math.log2(max(num_bins / _MOST_BARS, 1.0)))
    num_bars = math.ceil(num_bins / bins_per_bar)
    genuine, impostor = (
        counts.reshape(-1, bins_per_bar).sum(axis=1)[:num_bars]
        for counts in (histogram.genuine, histogram.impostor)
    )
    edges = histogram.edge[::bins_per_bar][: num_bars + 1]
    return bar_chart(edges, genuine, impostor, _thresholds(system))


def _thresholds(system: Mapping[str, Any]) -> Sequence[tuple[float, str]]:
    found = []
    for point in chosen_points(system):
        values = [row["threshold"] for row in point["splits"]]
        at = f"{_FAR}{rate_name(point['target'])}"
        found.append((float(np.median(values)), f"{at} (median of {len(values)} splits)"))
    return found
