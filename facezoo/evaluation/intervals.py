"""Intervals by resampling people, where there are enough people and not too many pairs for it."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo import metrics
from facezoo.evaluation.scored_pairs import ScoredPairs

_FEWEST_PEOPLE: Final = 3
# Above so many pairs times resamples it takes many minutes.
_MOST_WORK: Final = 1_000_000_000


def resample(
    pairs: ScoredPairs,
    targets: Sequence[float] = (),
    threshold: float | NDArray[np.float64] | None = None,
    num_resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """See `facezoo.metrics.bootstrap_verification`.

    Returns:
        The same, with None in the place of every interval where there are fewer than three people,
        or where pairs times resamples come to more than a billion.
    """
    num_people = len(np.unique(pairs.person))
    if num_people >= _FEWEST_PEOPLE and len(pairs.distance) * num_resamples <= _MOST_WORK:
        return metrics.bootstrap_verification(
            pairs.distance,
            pairs.same,
            pairs.person,
            targets,
            threshold,
            num_resamples=num_resamples,
            confidence=confidence,
        )
    names = ["auc", "eer", *([] if threshold is None else ["accuracy", "val", "far"])]
    none = {f"{name}_interval": None for name in names}
    return {**none, "val_at_far_intervals": dict.fromkeys(targets)}
