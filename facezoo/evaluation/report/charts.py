"""ROC and DET plots as descriptions for Plotly: plain data, drawn by the reader's browser."""

import html
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from facezoo.evaluation.report import far_axes
from facezoo.evaluation.report.curves import Curve, Places
from facezoo.pages import axes
from facezoo.pages.axes import Chart, rounded

Systems = Mapping[str, Mapping[str, Any]]

_HOVER: Final = (
    "FAR %{customdata[0]:.3p}<br>VAL %{customdata[1]:.4p}<br>threshold %{customdata[2]:.4f}"
)


def roc_chart(systems: Systems, curves: Mapping[str, Curve]) -> Chart:
    """VAL over a logarithmic FAR.

    Args:
        systems: Of the report.
        curves: By the same keys.
    """
    lowest = min(curve.lowest_far for curve in curves.values())
    val_axis = axes.share_axis("VAL: share of genuine pairs accepted")
    return {
        "data": _all_traces(systems, curves, Curve.on_roc),
        "layout": axes.layout(far_axes.log_far_axis(lowest), val_axis),
    }


def det_chart(systems: Systems, curves: Mapping[str, Curve]) -> Chart:
    """FRR over FAR, both as normal deviates; a curve that meets the diagonal is at its EER.

    Args:
        systems: Of the report.
        curves: By the same keys.
    """
    lowest_far = min(curve.lowest_far for curve in curves.values())
    lowest_frr = min(curve.lowest_frr for curve in curves.values())
    ends = rounded(ndtri([max(lowest_far, lowest_frr), 0.5]))
    diagonal = {
        "type": "scatter",
        "mode": "lines",
        "name": "equal errors",
        "x": ends,
        "y": ends,
        "line": {"color": axes.GREY, "dash": "dot", "width": 1},
        "hoverinfo": "skip",
    }
    frr_title = "FRR: share of genuine pairs refused"
    return {
        "data": [*_all_traces(systems, curves, Curve.on_det), diagonal],
        "layout": axes.layout(
            far_axes.deviate_axis(far_axes.FAR_TITLE, lowest_far),
            far_axes.deviate_axis(frr_title, lowest_frr),
        ),
    }


def chosen_points(system: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The operating points of a system that were not refused."""
    return [point for point in system["val_at_far"] if "refused" not in point]


def _all_traces(
    systems: Systems,
    curves: Mapping[str, Curve],
    place: Callable[[Curve, ArrayLike, ArrayLike], Places],
) -> list[Chart]:
    """Each system's curve, and its operating points as markers on it."""
    traces = []
    for number, (key, curve) in enumerate(curves.items()):
        # Plotly takes names for HTML.
        name = html.escape(systems[key]["name"])
        shared = axes.line_style(number) | {"legendgroup": key}
        rates = np.stack([curve.far, curve.val, curve.threshold], axis=1)
        # Between two observed thresholds nothing changes: steps, no slopes.
        line = shared["line"] | {"shape": "hv"}
        curve_style = {"mode": "lines", "name": name, "line": line}
        traces.append(shared | _trace(rates, curve, place) | curve_style)
        if points := chosen_points(systems[key]):
            rates = np.array([[one["far"], one["val"], one["threshold"]] for one in points])
            marks = {"mode": "markers", "name": f"{name}, operating point", "showlegend": False}
            traces.append(shared | _trace(rates, curve, place) | marks)
    return traces


def _trace(
    rates: np.ndarray, curve: Curve, place: Callable[[Curve, ArrayLike, ArrayLike], Places]
) -> Chart:
    """Places rows of FAR, VAL and threshold, [T, 3], with what is said when one is pointed at."""
    x, y = place(curve, rates[:, 0], rates[:, 1])
    return {
        "x": rounded(x),
        "y": rounded(y),
        "customdata": [rounded(row) for row in rates],
        "hovertemplate": _HOVER,
    }
