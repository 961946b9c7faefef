"""The two pictures of a verification report, as PNG bytes that depend on nothing but the data."""

import io
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from facezoo.metrics import RocCurve

# Okabe and Ito's palette: told apart by the colour-blind too.
_BLUE, _ORANGE, _GREEN, _PURPLE, _GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#555555"
_LINES = ((_BLUE, "-", 2.4), (_ORANGE, "--", 1.6), (_GREEN, "-.", 1.6), (_PURPLE, ":", 2.0))
_POINT_NAMES = {"accuracy": "best accuracy", "eer": "equal errors"}
_POINT_DASHES = ("-", "--", "-.", ":")
# Of operating points chosen by their FAR: `far_1e-3`.
_FAR = "far_"
_STEPS = 1000
_BINS = 80


def plot_roc(
    curves: Mapping[str, RocCurve], scores: Mapping[str, Mapping[str, Any]], title: str
) -> bytes:
    """Draws ROC curves over a logarithmic FAR.

    Args:
        curves: By name for the legend, the model first; past four, lines look alike.
        scores: What `evaluate_embedding` returned, by the same names; `auc` and the first one's
            `operating_points` are shown.
        title: Which people and how many pairs.

    Returns:
        A PNG.
    """
    with style.context("default"):
        axes = _axes(
            "ROC: " + title,
            "False accept rate (share of impostor pairs accepted)",
            "Validation rate (share of genuine pairs accepted)",
        )
        for (name, curve), (color, dashes, width) in zip(curves.items(), itertools.cycle(_LINES)):
            far, val = _sample(curve)
            label = f"{name}: AUC {scores[name]['auc']:.4f}"
            axes.plot(far, val, dashes, color=color, linewidth=width, label=label)
        model = next(iter(curves))
        points = scores[model]["operating_points"]
        chosen = [point for point in points if point["name"].startswith(_FAR)]
        if chosen:
            label = f"{model} at " + " and ".join(_point_name(point) for point in chosen)
            places = [point["far"] for point in chosen], [point["val"] for point in chosen]
            axes.plot(*places, "o", color=_BLUE, label=label)
        axes.set_xscale("log")
        axes.set_xlim(far[0], 1.0)
        axes.set_ylim(0.0, 1.01)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return _png(axes)


def _sample(curve: RocCurve) -> tuple[NDArray, NDArray]:
    """The highest VAL within each of log-spaced FARs: as many points for any number of pairs."""
    lowest = 0.5 / curve.false_accepts[-1]
    far = np.geomspace(lowest, 1.0, _STEPS)
    far[-1] = 1.0
    return far, curve.val[np.searchsorted(curve.far, far, side="right") - 1]


def plot_distances(
    genuine: NDArray, impostor: NDArray, scores: Mapping[str, Any], title: str
) -> bytes:
    """Draws how the distances of both kinds of pairs are spread, and where the thresholds lie.

    Args:
        genuine: float [G].
        impostor: float [I].
        scores: What `evaluate_embedding` returned for them; `operating_points` are shown.
        title: Which people and how many pairs.

    Returns:
        A PNG.
    """
    with style.context("default"):
        axes = _axes(
            "Distances: " + title,
            "Squared L2 distance of two unit embeddings (0: the same, 4: opposite)",
            "Share of genuine, and of impostor pairs per bin",
        )
        highest = max(genuine.max(), impostor.max(), 1e-6)
        bins = np.linspace(0.0, highest, _BINS + 1)
        for kind, distances, color in (
            ("genuine", genuine, _BLUE),
            ("impostor", impostor, _ORANGE),
        ):
            share = np.full(len(distances), 1.0 / len(distances))
            label = f"{kind} pairs ({len(distances):,})"
            axes.hist(distances, bins, weights=share, color=color, alpha=0.55, label=label)
        for point, dashes in zip(scores["operating_points"], itertools.cycle(_POINT_DASHES)):
            label = (
                f"{_point_name(point)}: {point['threshold']:.3f} "
                f"(VAL {point['val']:.1%}, FAR {point['far']:.2%})"
            )
            axes.axvline(point["threshold"], color=_GREY, linestyle=dashes, label=label)
        axes.set_xlim(0.0, highest)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return _png(axes)


def _point_name(point: Mapping[str, Any]) -> str:
    name = point["name"]
    if name.startswith(_FAR):
        return f"FAR \N{LESS-THAN OR EQUAL TO} {name.removeprefix(_FAR)}"
    return _POINT_NAMES[name]


def _axes(title: str, x_label: str, y_label: str) -> Axes:
    # No pyplot: it keeps global state and asks for a display.
    figure = Figure(figsize=(8.0, 5.0), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(True, which="major", color="#dddddd")
    axes.grid(True, which="minor", color="#f0f0f0")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _png(axes: Axes) -> bytes:
    # Below, because no corner of the picture is free of curves and bars for every model.
    axes.figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    buffer = io.BytesIO()
    # Matplotlib would name its version, which changes the bytes.
    axes.figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
