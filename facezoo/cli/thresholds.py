"""Which threshold decides between same and different, and where it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facezoo import shapes

# Squared L2 distance of unit vectors.
LARGEST_DISTANCE = 4.0


@dataclass(frozen=True)
class Threshold:
    """A distance up to which two faces are taken for one person.

    Args:
        value: Squared L2 distance.
        operating_point: Its name in the table, such as `"far_1e-2"`; None if the user gave it.
        source: Who chose it, and on what, in words.
    """

    value: float
    operating_point: str | None
    source: str


def given(value: float) -> Threshold:
    """Returns the threshold that the user gave.

    Raises:
        ValueError: No two faces can be that far apart.
    """
    if not 0.0 <= value <= LARGEST_DISTANCE:
        raise ValueError(
            "--threshold is a squared L2 distance of unit embeddings, "
            f"in [0, {LARGEST_DISTANCE:g}]. Received: {value}."
        )
    return Threshold(value, None, "given by --threshold")


def stored(
    table: Mapping[str, Any] | None, fingerprint: str | None, far: float | None
) -> Threshold | None:
    """Picks an operating point of a preset's threshold table.

    Args:
        table: Content of thresholds.json, or None if nothing was measured.
        fingerprint: Of the model's `Preprocessing`.
        far: Share of impostors accepted that the user asks for; None for the table's default.

    Returns:
        None if there is no table.

    Raises:
        ValueError: The table was measured with another preprocessing or distance, or has no such
            operating point.
    """
    if table is None:
        return None
    for what, expected, received in (
        ("preprocessing", fingerprint, table["preprocessing"]),
        ("distance", shapes.DISTANCE, table["distance"]),
    ):
        if expected != received:
            raise ValueError(
                f"The stored thresholds were measured with another {what} than this model's. "
                f"Expected: {expected}. Received: {received}. Take the preset.json that was saved "
                "with the model, measure again with the pipeline's Evaluator, or give --threshold."
            )
    points = {point["name"]: point for point in table["operating_points"]}
    name = table["default"] if far is None else _name_of(far, points)
    return Threshold(float(points[name]["threshold"]), name, table["source"])


def _name_of(far: float, points: Mapping[str, Any]) -> str:
    rates = {name: float(name.removeprefix("far_")) for name in points if name.startswith("far_")}
    for name, rate in rates.items():
        if rate == far:
            return name
    known = ", ".join(f"--far={name.removeprefix('far_')}" for name in rates) or "none"
    raise ValueError(f"No threshold is stored for --far={far:g}. Stored: {known}.")
