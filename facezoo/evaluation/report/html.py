"""The report of a list of pairs as one page of HTML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facezoo.evaluation.report import tables
from facezoo.evaluation.report.accuracy_thresholds import accuracy_thresholds
from facezoo.evaluation.report.charts import det_chart, roc_chart
from facezoo.evaluation.report.check import check_scored
from facezoo.evaluation.report.curves import thinned_curve
from facezoo.evaluation.report.distance_chart import distance_chart
from facezoo.evaluation.report.pictures import PairPictures, worst_pairs
from facezoo.evaluation.report.report_page import write_report_page
from facezoo.evaluation.report.robustness_chart import robustness_chart
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.pages import Figure

_TEMPLATE = "report.html.j2"
_ROC_CAPTION = (
    "ROC: the higher a curve, the better. Markers are the operating points of the table; a FAR of "
    "0 stands at half an impostor pair."
)
_DET_CAPTION = (
    "DET: the lower a curve, the better. Both axes are normal deviates, on which two normal "
    "distributions of distances give a straight line."
)


def write_html(
    path: Path,
    report: Mapping[str, Any],
    scored: Mapping[str, ScoredPairs],
    picture: PairPictures | None = None,
) -> None:
    """Writes the report of an evaluation as one page; equal input gives equal bytes.

    Parts that the report does not hold (slices, thresholds, robustness ..) are left out. Curves
    are thinned and distances binned, so that the page's size does not grow with the pairs.

    Args:
        path: Of the page; a file there is replaced.
        report: The content of report.json.
        scored: The pairs of each system, by the keys and in the order of `report["systems"]`.
        picture: Both images of a pair, by its row; None leaves the pictures out, and says so.

    Raises:
        ValueError: `scored` and `report` do not speak of the same systems and pairs.
        OSError: The file cannot be written.
    """
    check_scored(report, scored)
    model = next(iter(scored))
    write_report_page(
        path,
        _TEMPLATE,
        report,
        _figures(report, scored),
        worst=worst_pairs(scored[model], accuracy_thresholds(report["systems"][model]), picture),
        has_pictures=picture is not None,
    )


def _figures(
    report: Mapping[str, Any], scored: Mapping[str, ScoredPairs]
) -> dict[str, list[Figure]]:
    systems = report["systems"]
    curves = {key: thinned_curve(pairs) for key, pairs in scored.items()}
    return {
        "curves": [
            Figure("roc", _ROC_CAPTION, roc_chart(systems, curves)),
            Figure("det", _DET_CAPTION, det_chart(systems, curves)),
        ],
        "histograms": [
            Figure(
                f"distances-{key}",
                f"{systems[key]['name']}: the further apart, the better.",
                distance_chart(systems[key], pairs),
            )
            for key, pairs in scored.items()
        ],
        "robustness": [
            Figure(f"robustness-{number}", tables.axis_title(one), robustness_chart(one))
            for number, one in enumerate(report.get("robustness") or ())
        ],
    }
