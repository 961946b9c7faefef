"""How long features are before they are normalised: the shortest, the longest, and all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.curation.low_norms import LOW_NORM, check_norms, norm_order
from facezoo.curation.plan import Decision
from facezoo.curation.report.album import Album
from facezoo.pages import Figure, Picture, axes
from facezoo.pages.axes import rounded

# Of the shortest and of the longest.
NUM_PICTURES: Final = 36
_BINS: Final = 80


@dataclass(frozen=True)
class Labelled:
    """A picture of a contact sheet.

    Args:
        picture: It.
        name: Whom it is said to show.
        note: What is said of it.
    """

    picture: Picture
    name: str
    note: str = ""


def sheet(rows: Iterable[int], album: Album, notes: Iterable[str] | None = None) -> list[Labelled]:
    """Shows pictures, one by one.

    Args:
        rows: Of the faces.
        album: Of their pictures.
        notes: What to say of each; None for nothing.
    """
    rows = [int(row) for row in rows]
    notes = [""] * len(rows) if notes is None else notes
    return [
        Labelled(album.picture(row), str(album.faces.person(row)), note)
        for row, note in zip(rows, notes, strict=True)
    ]


def norm_sheets(album: Album) -> list[tuple[str, list[Labelled]]]:
    """Shows the pictures of the shortest and of the longest features, the utmost first.

    Returns:
        Two titles with their sheets; none where all norms are equal.
    """
    norm = album.faces.norm
    try:
        check_norms(norm)
    except ValueError:
        # Curation works without norms, and so does its report.
        return []
    order = norm_order(album.faces, min(NUM_PICTURES, max(len(norm) // 2, 1)))
    return [
        (title, sheet(rows, album, (f"norm {norm[row]:.4g}" for row in rows)))
        for title, rows in zip(("The lowest", "The highest"), order, strict=True)
    ]


def norm_figure(norm: NDArray[np.float32], decisions: Sequence[Decision]) -> Figure:
    """How norms are spread, and below which of them something was said.

    Args:
        norm: float32 [N].
        decisions: About short features; their evidence names the `threshold`.
    """
    edges = np.linspace(0.0, max(1.02 * float(norm.max()), 1e-6), _BINS + 1)
    count = np.histogram(norm, edges)[0]
    bars = _bars(edges, count)
    lines = axes.threshold_lines(_thresholds(decisions), float(max(bars["y"])))
    norm_axis = axes.titled("Norm of the features") | {"range": [0.0, float(edges[-1])]}
    layout = axes.layout(norm_axis, axes.share_axis("Share of pictures, per bin"))
    chart = {"data": [bars, *lines], "layout": layout | {"bargap": 0, "showlegend": True}}
    return Figure("norms", "Short features are those in which the model sees little.", chart)


def _bars(edges: NDArray[np.float64], count: NDArray[np.int64]) -> dict[str, Any]:
    ends = zip(rounded(edges[:-1]), rounded(edges[1:]), count.tolist(), strict=True)
    return {
        "type": "bar",
        "name": f"pictures ({int(count.sum()):,})",
        "x": rounded((edges[1:] + edges[:-1]) / 2.0),
        "y": rounded(count / count.sum()),
        "customdata": [list(row) for row in ends],
        "hovertemplate": (
            "norm %{customdata[0]:.4g} to %{customdata[1]:.4g}<br>"
            "%{customdata[2]:,} pictures, %{y:.3p}<extra></extra>"
        ),
        "marker": {"color": axes.COLORS[0], "opacity": 0.6, "line": {"width": 0}},
    }


def _thresholds(decisions: Sequence[Decision]) -> list[tuple[float, str]]:
    """The one threshold; where everybody has one of their own, no line says anything."""
    said = [one.evidence[LOW_NORM].get("threshold") for one in decisions]
    known = {float(one) for one in said if one is not None}
    return [(one, "threshold") for one in known] if len(known) == 1 else []
