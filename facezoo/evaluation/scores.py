"""The numbers of a verification report: one embedding of one set of people, all pairs."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo import metrics
from facezoo.data.pairs import all_pairs, count_pairs, identity_folds, most_folds, pair_indices
from facezoo.evaluation.intervals import resample
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.evaluation.threshold_choice import choose_thresholds, test_point, threshold_table
from facezoo.thresholds import far_name

FAR_TARGETS: Final = (1e-2, 1e-3)
_HALF: Final = (
    "{num_genuine} genuine and {num_impostor} impostor pairs of {num_images} images of "
    "{num_identities} people"
)


def score_pairs(embedding: NDArray, label: NDArray) -> ScoredPairs:
    """Scores all pairs of a set, the genuine ones first.

    Args:
        embedding: float [N, D], unit length.
        label: int [N], the person of each row.
    """
    distances, indices = all_pairs(embedding, label), pair_indices(label)
    return ScoredPairs(
        np.concatenate(distances),
        np.repeat([True, False], [len(one) for one in distances]),
        np.asarray(label)[np.concatenate(indices)].astype(np.int64),
    )


def evaluate_embedding(
    embedding: NDArray, label: NDArray, num_folds: int = 5, num_resamples: int = 200
) -> dict[str, Any]:
    """Scores how well distances tell pairs of one person from pairs of two.

    Args:
        embedding: float [N, D], unit length.
        label: int [N], the person of each row; two people or more, one with two images or more.
        num_folds: Folds of people for the accuracy, 2 or more; fewer are made for few people.
        num_resamples: Of people, for the intervals.

    Returns:
        Plain data for JSON. `auc` and `eer` with their intervals, `val_at_far_1e-2` and
        `val_at_far_1e-3` over all pairs (None where the impostor pairs are too few for that FAR);
        `accuracy`, the mean over folds of people with the threshold from the other folds, and its
        `accuracy_standard_error` and `num_folds` (None, None and 0 for fewer than four people, or
        fewer than two with two images); `operating_points`: `name`, `threshold`, `val`, `far` and
        95 % intervals, chosen on the very pairs they are measured on; the counts of `count_pairs`.

    Raises:
        ValueError: There is no genuine or no impostor pair, the embedding is not finite, or
            `num_folds` is below 2.

    Numerics:
        Intervals resample people where `facezoo.evaluation.intervals` can; else those of `auc` and
        `eer` are None, and the others are Wilson's over pairs, which are too narrow.
    """
    pairs = score_pairs(embedding, label)
    points = choose_thresholds(pairs, FAR_TARGETS)
    resampled = resample(pairs, num_resamples=num_resamples)
    return {
        "auc": metrics.auc(pairs.genuine, pairs.impostor),
        "eer": metrics.eer(pairs.genuine, pairs.impostor)[0],
        **{name: resampled[name] for name in ("auc_interval", "eer_interval")},
        **_fold_accuracy(embedding, label, num_folds),
        **{
            f"val_at_{name}": points[name].val if name in points else None
            for name in map(far_name, FAR_TARGETS)
        },
        "operating_points": [
            {"name": name, "threshold": point.threshold}
            | test_point(pairs, point.threshold, num_resamples)
            for name, point in points.items()
        ],
        **count_pairs(label),
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


def table_of_halves(
    embedding: NDArray, label: NDArray, bound_to: Mapping[str, str], words: str
) -> dict[str, Any]:
    """Makes the table that travels with a model: chosen on half of the people, tested on the rest.

    Args:
        embedding: float [N, D], unit length.
        label: int [N], the person of each row.
        bound_to: Fingerprints of `model` and `preprocessing`.
        words: Which people they are.

    Returns:
        See `facezoo.evaluation.threshold_choice.threshold_table`. People who do not suffice for
        two halves with both kinds of pairs in each are all used for the choice, and nothing is
        tested.
    """
    if most_folds(label) < 2:
        half = np.zeros(len(label), np.int64)
    else:
        half = identity_folds(label, 2)
    pairs, said = [], []
    for number in np.unique(half):
        part = half == number
        pairs.append(score_pairs(embedding[part], label[part]))
        said.append(f"{_HALF.format(**count_pairs(label[part]))}: {words}")
    return threshold_table(
        pairs[0],
        pairs[1] if len(pairs) > 1 else None,
        bound_to,
        {"chosen_on": said[0], "tested_on": said[-1]},
        FAR_TARGETS,
    )
