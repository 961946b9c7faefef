"""The report as runs that TensorBoard lays side by side, one for each system."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facezoo import metrics
from facezoo.evaluation.plots import plot_distances, plot_roc
from facezoo.evaluation.report.charts import chosen_points
from facezoo.evaluation.report.check import check_scored
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.event_file import write_event_file
from facezoo.pages.digits import rate_name

_SCALARS = ("auc", "eer", "accuracy")


def write_tensorboard(
    folder: Path, report: Mapping[str, Any], scored: Mapping[str, ScoredPairs]
) -> None:
    """Writes one run for each system: its scores, its distances, and for the first all ROC curves.

    Args:
        folder: Of the runs, each named by its system's key; made if it is not there.
        report: The content of report.json.
        scored: The pairs of each system, by the keys and in the order of `report["systems"]`.

    Raises:
        ValueError: `scored` and `report` do not speak of the same systems and pairs.
        OSError: A file cannot be written.
    """
    check_scored(report, scored)
    systems, title = report["systems"], report["title"]
    points = {key: _for_plots(system) for key, system in systems.items()}
    named = {systems[key]["name"]: one for key, one in points.items()}
    curves = {
        systems[key]["name"]: metrics.roc_curve(pairs.genuine, pairs.impostor)
        for key, pairs in scored.items()
    }
    images = {"evaluation/roc": plot_roc(curves, named, title)}
    for key, pairs in scored.items():
        drawn = plot_distances(pairs.genuine, pairs.impostor, points[key], title)
        images["evaluation/distances"] = drawn
        write_event_file(folder / key, _numbers(systems[key]), images)
        images = {}


def _for_plots(system: Mapping[str, Any]) -> dict[str, Any]:
    points = [
        {**point, "name": f"far_{rate_name(point['target'])}"} for point in chosen_points(system)
    ]
    return {"auc": system["auc"], "operating_points": points}


def _numbers(system: Mapping[str, Any]) -> dict[str, float]:
    numbers = {key: system[key] for key in _SCALARS if system[key] is not None}
    for point in chosen_points(system):
        numbers[f"val_at_far_{rate_name(point['target'])}"] = point["val"]
    return {f"evaluation/{key}": number for key, number in numbers.items()}
