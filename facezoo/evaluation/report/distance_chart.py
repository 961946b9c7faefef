"""Histograms of genuine and impostor distances, with the thresholds between them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facezoo.evaluation.report.accuracy_thresholds import accuracy_thresholds
from facezoo.evaluation.report.charts import chosen_points
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.pages import axes
from facezoo.pages.axes import Chart, rounded
from facezoo.pages.digits import rate_name

_BINS = 80


def distance_chart(system: Mapping[str, Any], scored: ScoredPairs) -> Chart:
    """How the distances of both kinds of pairs are spread, and where the thresholds lie.

    Args:
        system: One of the report.
        scored: Its pairs.
    """
    edges = np.linspace(0.0, max(float(scored.distance.max()), 1e-6), _BINS + 1)
    # Rounding can leave a distance of equal embeddings just below 0.
    genuine, impostor = (
        np.histogram(np.clip(distance, 0.0, edges[-1]), edges)[0]
        for distance in (scored.genuine, scored.impostor)
    )
    return bar_chart(edges, genuine, impostor, _thresholds(system))


def bar_chart(
    edges: NDArray[np.float64],
    genuine: NDArray[np.int64],
    impostor: NDArray[np.int64],
    thresholds: Sequence[tuple[float, str]],
) -> Chart:
    """Bars of both kinds of pairs over their distance, and a line at each threshold.

    Args:
        edges: float64 [B + 1], ascending from 0.
        genuine: int64 [B], pairs of one person in each bin.
        impostor: int64 [B], pairs of two people.
        thresholds: Each with its name.
    """
    bars = [
        _bars("genuine", genuine, edges, axes.COLORS[0]),
        _bars("impostor", impostor, edges, axes.COLORS[1]),
    ]
    highest = max(share for bar in bars for share in bar["y"])
    distance_axis = axes.titled("Squared L2 distance (0 equal, 4 opposite)")
    distance_axis["range"] = [0.0, float(edges[-1])]
    share_axis = axes.share_axis("Share of each kind of pair, per bin")
    return {
        "data": [*bars, *axes.threshold_lines(thresholds, highest)],
        "layout": axes.layout(distance_axis, share_axis) | {"barmode": "overlay", "bargap": 0},
    }


def _bars(kind: str, counts: NDArray[np.int64], edges: NDArray[np.float64], color: str) -> Chart:
    ends = zip(rounded(edges[:-1]), rounded(edges[1:]), counts.tolist(), strict=True)
    num_pairs = int(counts.sum())
    return {
        "type": "bar",
        "name": f"{kind} pairs ({num_pairs:,})",
        "x": rounded((edges[1:] + edges[:-1]) / 2.0),
        "y": rounded(counts / num_pairs),
        "customdata": [list(row) for row in ends],
        "hovertemplate": (
            "distance %{customdata[0]:.3f} to %{customdata[1]:.3f}<br>"
            f"%{{customdata[2]:,}} {kind} pairs, %{{y:.3p}}<extra></extra>"
        ),
        "marker": {"color": color, "opacity": 0.6, "line": {"width": 0}},
    }


def _thresholds(system: Mapping[str, Any]) -> list[tuple[float, str]]:
    found = [
        (point["threshold"], f"FAR \N{LESS-THAN OR EQUAL TO} {rate_name(point['target'])}")
        for point in chosen_points(system)
    ]
    if used := accuracy_thresholds(system):
        of_folds = "" if len(used) == 1 else f" (median of {len(used)} folds)"
        found.insert(0, (float(np.median(used)), f"accuracy{of_folds}"))
    return found
