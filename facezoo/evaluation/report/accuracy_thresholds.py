"""The thresholds of a system's accuracy: one, or one for every fold."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def accuracy_thresholds(system: Mapping[str, Any]) -> list[float]:
    """Returns `accuracy_threshold`, or else all `accuracy_fold_thresholds`; empty without any."""
    if system.get("accuracy_threshold") is not None:
        return [system["accuracy_threshold"]]
    return list(system.get("accuracy_fold_thresholds") or ())


def verdicts(distance: NDArray, same: NDArray[np.bool_], thresholds: Sequence[float]) -> list[str]:
    """Says of each pair whether it is answered rightly.

    Args:
        distance: float [K].
        same: bool [K].
        thresholds: Of the accuracy.

    Returns:
        `"right"` or `"wrong"` where all thresholds agree, `"open"` where folds differ, and `""`
        without a threshold.
    """
    if not thresholds:
        return [""] * len(distance)
    answers = distance[:, None] <= np.asarray(thresholds)
    wrong = np.mean(answers != same[:, None], axis=1)
    return ["right" if share == 0 else "wrong" if share == 1 else "open" for share in wrong]
