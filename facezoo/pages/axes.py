"""What all plots of a page share: colours, axes, and numbers short enough for a page."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

Chart = dict[str, Any]

# Okabe and Ito's palette: told apart by the colour-blind too, and by dashes without any colour.
COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: Final = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
# Can be read on white and on black.
GREY: Final = "#858585"


def rounded(values: ArrayLike) -> list[float]:
    """Floats of six digits: more than a screen shows, and half as many bytes."""
    return [float(f"{value:.6g}") for value in np.asarray(values, dtype=np.float64)]


def line_style(number: int) -> Chart:
    """The colour, dashes and markers of a line, by its place in the plot; the first stands out.

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


def threshold_lines(thresholds: Sequence[tuple[float, str]], height: float) -> Iterator[Chart]:
    """An upright line at each threshold of a histogram.

    Args:
        thresholds: Each with its name.
        height: Of the highest bar.
    """
    for number, (threshold, name) in enumerate(thresholds):
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": f"{name}: {threshold:.4f}",
            "x": [threshold, threshold],
            "y": [0.0, height],
            "line": {"color": GREY, "dash": DASHES[number % len(DASHES)], "width": 2},
            "hovertemplate": "threshold %{x:.4f}",
        }
