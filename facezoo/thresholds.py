"""The thresholds that travel with a model, bound to its weights and its preprocessing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from facezoo import shapes

FORMAT: Final = 2
# Squared L2 distance of unit vectors.
LARGEST_DISTANCE: Final = 4.0
_FAR_PREFIX: Final = "far_"
_WHAT_TO_DO: Final = (
    "Take the preset.json that was saved with this model, measure again with `python -m facezoo "
    "evaluate` or the pipeline's Evaluator, or give a threshold yourself."
)


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


def given(value: float, source: str = "given by the user") -> Threshold:
    """Returns a threshold that no table holds.

    Args:
        value: Squared L2 distance.
        source: Who gave it, in words.

    Raises:
        ValueError: No two faces can be that far apart.
    """
    if not 0.0 <= value <= LARGEST_DISTANCE:
        raise ValueError(
            "A threshold is a squared L2 distance of unit embeddings, "
            f"in [0, {LARGEST_DISTANCE:g}]. Received: {value}."
        )
    return Threshold(value, None, source)


def far_name(target: float) -> str:
    """Name of the operating point that keeps a FAR.

    Example:
        >>> far_name(0.001)
        'far_1e-3'
    """
    mantissa, exponent = f"{target:e}".split("e")
    return f"{_FAR_PREFIX}{float(mantissa):g}e{int(exponent)}"


def check_bound(
    table: Mapping[str, Any], fingerprint: str | None, preprocessing: str | None
) -> None:
    """Checks that a table was measured with this very model.

    Args:
        table: Content of thresholds.json.
        fingerprint: Of the model's weights.
        preprocessing: Fingerprint of what is done to a picture before the network sees it.

    Raises:
        ValueError: The table was measured with other weights, another preprocessing or another
            distance, or is in another format.
    """
    if table.get("format") != FORMAT:
        raise ValueError(
            f"The stored thresholds are in format {table.get('format', 1)}. Expected: format "
            f"{FORMAT}, which is bound to the weights. {_WHAT_TO_DO}"
        )
    for what, expected, received in (
        ("model", fingerprint, table["model"]),
        ("preprocessing", preprocessing, table["preprocessing"]),
        ("distance", shapes.DISTANCE, table["distance"]),
    ):
        if expected != received:
            raise ValueError(
                f"The stored thresholds were measured with another {what} than this one. "
                f"Expected: {expected}. Received: {received}. {_WHAT_TO_DO}"
            )


def stored(table: Mapping[str, Any], far: float | None) -> Threshold:
    """Picks an operating point of a table that `check_bound` has passed.

    Args:
        table: Content of thresholds.json.
        far: Share of impostors accepted that the user asks for; None for the table's default.

    Raises:
        ValueError: There is no such operating point.
    """
    points = {point["name"]: point for point in table["operating_points"]}
    name = table["default"] if far is None else far_name(far)
    if name not in points:
        rates = [one.removeprefix(_FAR_PREFIX) for one in points if one.startswith(_FAR_PREFIX)]
        known = ", ".join(f"--far={rate}" for rate in rates) or "none"
        raise ValueError(f"No threshold is stored for --far={far:g}. Stored: {known}.")
    return Threshold(float(points[name]["threshold"]), name, table["chosen_on"])


def strictest(table: Mapping[str, Any]) -> Threshold:
    """Picks the smallest threshold of a table that `check_bound` has passed.

    Of N pictures, N (N - 1) / 2 couples are compared where every two are: the FAR that does for one
    couple would join many strangers.

    Args:
        table: Content of thresholds.json.
    """
    point = min(table["operating_points"], key=lambda one: one["threshold"])
    return Threshold(float(point["threshold"]), point["name"], table["chosen_on"])


def probability(
    table: Mapping[str, Any], distance: float, prior: float | None = None
) -> float | None:
    """How probable it is that two faces at this distance show one person.

    `1 / (1 + exp(-(intercept + slope * distance + logit(prior))))`.

    Args:
        table: Content of thresholds.json that `check_bound` has passed.
        distance: Squared L2 distance of the two embeddings.
        prior: How probable it was before, in (0, 1); None for the one it was calibrated for, 1/2.

    Returns:
        In (0, 1); None if the table holds no calibration.

    Raises:
        ValueError: `prior` is out of range.

    Source:
        J. Platt, "Probabilistic outputs for support vector machines", 1999, section 2.1.
    """
    calibration = table["calibration"]
    if calibration is None:
        return None
    prior = calibration["prior"] if prior is None else prior
    if not 0.0 < prior < 1.0:
        raise ValueError(f"prior must be a probability between 0 and 1. Received: {prior}.")
    logit = calibration["intercept"] + calibration["slope"] * distance
    logit += math.log(prior / (1.0 - prior)) - math.log(
        calibration["prior"] / (1.0 - calibration["prior"])
    )
    # Both branches: exp of a large positive number overflows.
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
