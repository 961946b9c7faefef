"""All numbers of one system on one list of pairs, each with its interval."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facezoo import metrics
from facezoo.evaluation.intervals import resample
from facezoo.evaluation.scored_pairs import ScoredPairs

Report = dict[str, Any]
_NO_RULE = (
    "no accuracy: the pairs have no folds, and no other pairs were given to choose a threshold on"
)


@dataclass(frozen=True)
class ReportOptions:
    """What is reported.

    Args:
        far_targets: FARs at which VAL is reported; one that the impostor pairs do not support is
            reported as refused.
        allow_few: Reports those too.
        num_resamples: Of people, for the intervals.
        confidence: Of the intervals.

    Raises:
        ValueError: A field is out of range.
    """

    far_targets: tuple[float, ...] = (1e-2, 1e-3)
    allow_few: bool = False
    num_resamples: int = 1000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "far_targets", tuple(self.far_targets))
        if not all(0.0 < target < 1.0 for target in self.far_targets):
            raise ValueError(f"FARs must be between 0 and 1. Received: {list(self.far_targets)}.")
        if self.num_resamples < 1 or not 0.0 < self.confidence < 1.0:
            raise ValueError(
                "num_resamples must be at least 1, and confidence between 0 and 1. Received: "
                f"num_resamples={self.num_resamples}, confidence={self.confidence}."
            )


DEFAULT_OPTIONS = ReportOptions()


def report_system(
    pairs: ScoredPairs,
    fold: NDArray[np.int32] | None = None,
    chosen_on: tuple[ScoredPairs, str] | None = None,
    slices: Mapping[str, NDArray[np.str_]] | None = None,
    options: ReportOptions = DEFAULT_OPTIONS,
) -> Report:
    """Scores one system.

    Args:
        pairs: What is tested.
        fold: int [P], folds that the threshold of the accuracy is chosen across; None for none.
        chosen_on: Other people's pairs to choose it on instead, and what they are in words.
        slices: Text [P] by name: pairs of equal text are scored by themselves, too.
        options: Which FARs, and how the intervals are made.

    Returns:
        Plain data for JSON: `auc`, `eer`, `fisher_ratio` (None if infinite), `accuracy` with
        `accuracy_rule`, `accuracy_standard_error` (over folds) and `accuracy_threshold` (None
        where folds have one each: `accuracy_fold_thresholds`), `val_at_far` and `slices`;
        intervals by resampling people end in `_interval`.

    Raises:
        ValueError: A kind of pair is missing, a distance is not finite, or a fold lacks a kind.
    """
    genuine, impostor = pairs.genuine, pairs.impostor
    accuracy, threshold = _accuracy(pairs, fold, chosen_on)
    targets = [
        target
        for target in options.far_targets
        if options.allow_few or metrics.supports_far(target, len(impostor))
    ]
    fisher = metrics.fisher_ratio(genuine, impostor)
    resampled = resample(pairs, targets, threshold, options.num_resamples, options.confidence)
    return {
        "auc": metrics.auc(genuine, impostor),
        "auc_interval": resampled["auc_interval"],
        "eer": metrics.eer(genuine, impostor)[0],
        "eer_interval": resampled["eer_interval"],
        # Infinite where neither kind spreads, which JSON cannot say.
        "fisher_ratio": fisher if np.isfinite(fisher) else None,
        **accuracy,
        "accuracy_interval": resampled.get("accuracy_interval"),
        "val_at_far": [
            _val_at_far(pairs, target, resampled["val_at_far_intervals"], options)
            for target in options.far_targets
        ],
        "slices": score_slices(pairs, slices or {}, threshold, options),
    }


def score_slices(
    pairs: ScoredPairs,
    slices: Mapping[str, NDArray[np.str_]],
    threshold: float | NDArray[np.float64] | None = None,
    options: ReportOptions = DEFAULT_OPTIONS,
) -> list[Report]:
    """Scores pairs of equal text by themselves.

    Args:
        pairs: All of them.
        slices: Text [P] by name.
        threshold: Of the VAL and FAR of every slice: one, or one per pair; None for neither.
        options: How the intervals are made.

    Returns:
        For every text of every name: `slice` and `value`, `num_genuine`, `num_impostor`, `auc`,
        `val` and `far` and their intervals by resampling people, None where a kind of pair or the
        threshold is missing, or where people do not suffice.
    """
    return [
        _slice(pairs, name, value, values == value, threshold, options)
        for name, values in slices.items()
        for value in np.unique(values)
    ]


def _accuracy(
    pairs: ScoredPairs,
    fold: NDArray[np.int32] | None,
    chosen_on: tuple[ScoredPairs, str] | None,
) -> tuple[Report, float | NDArray[np.float64] | None]:
    """Returns the accuracy, and the threshold that it was reached with: one, or one per pair."""
    found: Report = {
        "accuracy": None,
        "accuracy_standard_error": None,
        "accuracy_threshold": None,
        "accuracy_rule": _NO_RULE,
    }
    if chosen_on is not None:
        other, words = chosen_on
        threshold = metrics.best_threshold(other.genuine, other.impostor)
        found["accuracy"] = metrics.accuracy(pairs.genuine, pairs.impostor, threshold)
        found["accuracy_threshold"] = threshold
        found["accuracy_rule"] = f"threshold chosen on {words}"
        return found, threshold
    if fold is None:
        return found, None
    by_fold = metrics.fold_accuracy(pairs.distance, pairs.same, fold)
    found["accuracy"] = by_fold.accuracy
    found["accuracy_standard_error"] = by_fold.standard_error
    found["accuracy_fold_thresholds"] = by_fold.threshold.tolist()
    num_folds = len(by_fold.threshold)
    found["accuracy_rule"] = (
        f"mean over {num_folds} folds, each with the threshold of the other {num_folds - 1}"
    )
    return found, by_fold.threshold[fold]


def _val_at_far(
    pairs: ScoredPairs,
    target: float,
    intervals: Mapping[float, tuple[float, float]],
    options: ReportOptions,
) -> Report:
    if target not in intervals:
        num_impostor = int(np.count_nonzero(~pairs.same))
        return {
            "target": target,
            "refused": f"{num_impostor:,} impostor pairs are too few: below 10 / {target:g}",
        }
    point = metrics.val_at_far(pairs.genuine, pairs.impostor, target, options.allow_few)
    num_impostor = int(np.count_nonzero(~pairs.same))
    return {
        "target": target,
        **asdict(point),
        "val_interval": intervals[target],
        "far_interval": metrics.wilson_interval(
            round(point.far * num_impostor), num_impostor, options.confidence
        ),
    }


def _slice(
    pairs: ScoredPairs,
    name: str,
    value: str,
    chosen: NDArray[np.bool_],
    threshold: float | NDArray[np.float64] | None,
    options: ReportOptions,
) -> Report:
    part = ScoredPairs(pairs.distance[chosen], pairs.same[chosen], pairs.person[chosen])
    if threshold is not None:
        threshold = np.broadcast_to(threshold, len(chosen))[chosen]
    num_genuine, num_impostor = int(part.same.sum()), int((~part.same).sum())
    found: Report = {"slice": name, "value": str(value)}
    found |= {"num_genuine": num_genuine, "num_impostor": num_impostor}
    for score in ("auc", "val", "far"):
        found |= {score: None, f"{score}_interval": None}
    if num_genuine and num_impostor:
        found["auc"] = metrics.auc(part.genuine, part.impostor)
        resampled = resample(part, (), threshold, options.num_resamples, options.confidence)
        found |= {key: resampled[key] for key in found if key in resampled}
    if threshold is not None:
        accepted = part.distance <= threshold
        for rate, kind in (("val", part.same), ("far", ~part.same)):
            found[rate] = float(accepted[kind].mean()) if kind.any() else None
    return found
