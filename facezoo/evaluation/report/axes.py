"""What all plots of a report share: colours, axes, and numbers short enough for a page."""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

Chart = dict[str, Any]

# Okabe and Ito's palette: told apart by the colour-blind too, and by dashes without any colour.
COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: Final = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
# Can be read on white and on black.
GREY: Final = "#858585"
FAR_TITLE: Final = "FAR: share of impostor pairs accepted"
_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)
# A DET plot ends where a system is of no use to anybody.
_WORST_RATE = 0.99


def rounded(values: ArrayLike) -> list[float]:
    """Floats of six digits: more than a screen shows, and half as many bytes."""
    return [float(f"{value:.6g}") for value in np.asarray(values, dtype=np.float64)]


def system_line(number: int) -> Chart:
    """The colour, dashes and markers of a system, by its place in the report; the first stands out.

    Past the palette's end they come round again.
    """
    place = number % len(COLORS)
    line = {"color": COLORS[place], "dash": DASHES[place], "width": 1.8 if number else 2.6}
    marker = {"color": COLORS[place], "symbol": _SYMBOLS[place], "size": 9}
    return {"type": "scatter", "line": line, "marker": marker}


def titled(title: str) -> Chart:
    """An axis with a title that keeps clear of the numbers."""
    return {"title": {"text": title, "standoff": 12}}


def layout(x_axis: Chart, y_axis: Chart) -> Chart:
    """A plot's frame; its colours are the page's, and set there."""
    return {
        "xaxis": x_axis | {"automargin": True},
        "yaxis": y_axis | {"automargin": True},
        "margin": {"l": 60, "r": 15, "t": 35, "b": 50},
        # At the figure's foot, however many lines the names take.
        "legend": {"orientation": "h", "yref": "container", "y": 0.0, "yanchor": "bottom"},
        "hovermode": "closest",
    }


def share_axis(title: str) -> Chart:
    """A linear axis in percent."""
    return titled(title) | {"tickformat": ".3~%", "rangemode": "tozero"}


def log_far_axis(lowest: float) -> Chart:
    """A logarithmic axis of FAR, from the lowest that can be drawn to 1."""
    ends = [float(np.log10(lowest)), 0.0]
    marks = {"dtick": 1, "exponentformat": "power"}
    return titled(FAR_TITLE) | {"type": "log", "range": ends} | marks


def deviate_axis(title: str, lowest: float) -> Chart:
    """An axis of normal deviates that is marked in percent."""
    ticks = [tick for tick in _TICKS if tick >= lowest]
    return titled(title) | {
        "range": [float(ndtri(lowest)), float(ndtri(_WORST_RATE))],
        "tickvals": rounded(ndtri(ticks)),
        "ticktext": [f"{100.0 * tick:g}%" for tick in ticks],
    }
