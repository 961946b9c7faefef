"""Axes of error rates: logarithmic, and of normal deviates."""

from typing import Final

import numpy as np
from scipy.special import ndtri

from facezoo.pages import axes
from facezoo.pages.axes import Chart

FAR_TITLE: Final = "FAR: share of impostor pairs accepted"
_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)
# A DET plot ends where a system is of no use to anybody.
_WORST_RATE = 0.99


def log_far_axis(lowest: float) -> Chart:
    """A logarithmic axis of FAR, from the lowest that can be drawn to 1."""
    ends = [float(np.log10(lowest)), 0.0]
    marks = {"dtick": 1, "exponentformat": "power"}
    return axes.titled(FAR_TITLE) | {"type": "log", "range": ends} | marks


def deviate_axis(title: str, lowest: float) -> Chart:
    """An axis of normal deviates that is marked in percent."""
    ticks = [tick for tick in _TICKS if tick >= lowest]
    return axes.titled(title) | {
        "range": [float(ndtri(lowest)), float(ndtri(_WORST_RATE))],
        "tickvals": axes.rounded(ndtri(ticks)),
        "ticktext": [f"{100.0 * tick:g}%" for tick in ticks],
    }
