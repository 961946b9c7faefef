"""Chooses thresholds on some people, tests them on others, and says what they are bound to."""

from collections.abc import Mapping, Sequence
from typing import Any

from facezoo import metrics, shapes, thresholds
from facezoo.evaluation.calibration import calibrate, calibration_errors
from facezoo.evaluation.intervals import resample
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.metrics import OperatingPoint

ACCURACY, EER = "accuracy", "eer"


def choose_thresholds(
    pairs: ScoredPairs, far_targets: Sequence[float], allow_few: bool = False
) -> dict[str, OperatingPoint]:
    """Chooses the thresholds of highest accuracy, of equal errors, and of the highest FARs allowed.

    Args:
        pairs: Of people who will not be tested.
        far_targets: Highest FARs allowed; those for which the impostor pairs do not suffice are
            left out.
        allow_few: Leaves none out.

    Returns:
        What each threshold does on these pairs, by its name: `"accuracy"`, `"eer"`, `"far_1e-2"`.
    """
    genuine, impostor = pairs.genuine, pairs.impostor
    best = metrics.best_threshold(genuine, impostor)
    equal = metrics.eer(genuine, impostor)[1]
    points = {
        name: metrics.operating_point(genuine, impostor, value)
        for name, value in ((ACCURACY, best), (EER, equal))
    }
    for target in far_targets:
        if allow_few or metrics.supports_far(target, len(impostor)):
            points[thresholds.far_name(target)] = metrics.val_at_far(
                genuine, impostor, target, allow_few
            )
    return points


def threshold_table(
    chosen: ScoredPairs,
    tested: ScoredPairs | None,
    bound_to: Mapping[str, str],
    words: Mapping[str, str],
    far_targets: Sequence[float],
    num_resamples: int = 1000,
) -> dict[str, Any]:
    """Makes the table that travels with a model.

    Args:
        chosen: Pairs that the thresholds and the calibration are chosen on.
        tested: Pairs of other people that they are tested on; None where there are none.
        bound_to: `model` and `preprocessing`: fingerprints of what the distances were made with.
        words: `chosen_on` and `tested_on`: which people, and how many pairs.
        far_targets: See `choose_thresholds`.
        num_resamples: Of people, for the intervals.

    Returns:
        Plain data for JSON, in the format of `facezoo.thresholds`. `operating_points`: `name`,
        `threshold`, `chosen_far` and `chosen_val` on the pairs of the choice, and `far`, `val` and
        their 95 % intervals on the others, None where there are none. `calibration`: see
        `facezoo.evaluation.calibration`.
    """
    points = choose_thresholds(chosen, far_targets)
    calibration = calibrate(chosen.genuine, chosen.impostor)
    if tested is not None:
        calibration |= calibration_errors(calibration, tested.genuine, tested.impostor)
    return {
        "format": thresholds.FORMAT,
        "distance": shapes.DISTANCE,
        **bound_to,
        "chosen_on": words["chosen_on"],
        "tested_on": None if tested is None else words["tested_on"],
        "default": ACCURACY,
        "operating_points": [
            {
                "name": name,
                "threshold": point.threshold,
                "chosen_far": point.far,
                "chosen_val": point.val,
                **test_point(tested, point.threshold, num_resamples),
            }
            for name, point in points.items()
        ],
        "calibration": calibration,
    }


def test_point(
    tested: ScoredPairs | None, threshold: float, num_resamples: int
) -> dict[str, float | tuple[float, float] | None]:
    """Measures VAL and FAR at a threshold that was chosen elsewhere.

    Args:
        tested: The pairs; None where there are none.
        threshold: Chosen without them.
        num_resamples: Of people, for the intervals.

    Returns:
        `val`, `far`, `val_interval` and `far_interval`, all None without pairs. An interval covers
        Wilson's over pairs and, where there is one, that of `resample`: the second alone would be
        empty where no pair goes wrong, the first takes pairs that share a person for independent.
    """
    if tested is None:
        return dict.fromkeys(("val", "val_interval", "far", "far_interval"))
    point = metrics.operating_point(tested.genuine, tested.impostor, threshold)
    resampled = resample(tested, threshold=threshold, num_resamples=num_resamples)
    found = {}
    for rate, total in (("val", len(tested.genuine)), ("far", len(tested.impostor))):
        share = getattr(point, rate)
        interval = metrics.wilson_interval(round(share * total), total)
        if people := resampled[f"{rate}_interval"]:
            interval = min(interval[0], people[0]), max(interval[1], people[1])
        found |= {rate: share, f"{rate}_interval": interval}
    return found
