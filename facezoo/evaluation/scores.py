"""The numbers of a verification report: one embedding of one set of people, all pairs."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo import metrics, shapes
from facezoo.data.pairs import all_pairs, count_pairs, identity_folds, most_folds
from facezoo.data.preprocessing import Preprocessing
from facezoo.metrics import OperatingPoint

FAR_TARGETS: Final[Mapping[str, float]] = {"far_1e-2": 1e-2, "far_1e-3": 1e-3}


def evaluate_embedding(embedding: NDArray, label: NDArray, num_folds: int = 5) -> dict[str, Any]:
    """Scores how well distances tell pairs of one person from pairs of two.

    Args:
        embedding: float [N, D], unit length.
        label: int [N], the person of each row; two people or more, one with two images or more.
        num_folds: Folds of people for the accuracy, 2 or more; fewer are made for few people.

    Returns:
        Plain data for JSON. `auc`, `eer`, `val_at_far_1e-2` and `val_at_far_1e-3` over all pairs;
        `accuracy`, the mean over folds of people with the threshold from the other folds, and its
        `accuracy_standard_error` and `num_folds` (None, None and 0 for fewer than four people, or
        fewer than two with two images); `operating_points`: `name`, `threshold`, `val`, `far` and
        95 % intervals, chosen on the very pairs they are measured on; the counts of `count_pairs`.

    Raises:
        ValueError: There is no genuine or no impostor pair, the embedding is not finite, or
            `num_folds` is below 2.

    Numerics:
        The intervals are Wilson's over pairs. Pairs share images and people, so the truth can lie
        further off than they say.
    """
    genuine, impostor = all_pairs(embedding, label)
    equal_error_rate, equal_error_threshold = metrics.eer(genuine, impostor)
    points = {
        "accuracy": metrics.operating_point(
            genuine, impostor, metrics.best_threshold(genuine, impostor)
        ),
        "eer": metrics.operating_point(genuine, impostor, equal_error_threshold),
    }
    for name, target in FAR_TARGETS.items():
        points[name] = metrics.val_at_far(genuine, impostor, target)
    counts = count_pairs(label)
    return {
        "auc": metrics.auc(genuine, impostor),
        "eer": equal_error_rate,
        **_fold_accuracy(embedding, label, num_folds),
        **{f"val_at_{name}": points[name].val for name in FAR_TARGETS},
        "operating_points": [_row(name, point, counts) for name, point in points.items()],
        **counts,
    }


def _row(name: str, point: OperatingPoint, counts: Mapping[str, int]) -> dict[str, Any]:
    num_genuine, num_impostor = counts["num_genuine"], counts["num_impostor"]
    return {
        "name": name,
        **asdict(point),
        "val_interval": metrics.wilson_interval(round(point.val * num_genuine), num_genuine),
        "far_interval": metrics.wilson_interval(round(point.far * num_impostor), num_impostor),
    }


def _fold_accuracy(embedding: NDArray, label: NDArray, num_folds: int) -> dict[str, Any]:
    if num_folds < 2:
        raise ValueError(f"num_folds must be at least 2. Received: num_folds={num_folds}.")
    num_folds = min(num_folds, most_folds(label))
    if num_folds < 2:
        return {"accuracy": None, "accuracy_standard_error": None, "num_folds": 0}
    fold = identity_folds(label, num_folds)
    found = []
    for number in range(num_folds):
        test = fold == number
        threshold = metrics.best_threshold(*all_pairs(embedding[~test], label[~test]))
        found.append(metrics.accuracy(*all_pairs(embedding[test], label[test]), threshold))
    return {
        "accuracy": float(np.mean(found)),
        "accuracy_standard_error": float(np.std(found, ddof=1) / num_folds**0.5),
        "num_folds": num_folds,
    }


def threshold_table(
    scores: Mapping[str, Any], preprocessing: Preprocessing, source: str
) -> dict[str, Any]:
    """Returns the thresholds that travel with a model, bound to what they were chosen with.

    Args:
        scores: What `evaluate_embedding` returned.
        preprocessing: Of the model; with another one the thresholds mean nothing.
        source: In words: which people, and how many pairs.
    """
    keys = ("name", "threshold", "far", "val")
    return {
        "distance": shapes.DISTANCE,
        "preprocessing": preprocessing.fingerprint(),
        "source": source,
        "default": "accuracy",
        "operating_points": [
            {key: point[key] for key in keys} for point in scores["operating_points"]
        ],
    }
