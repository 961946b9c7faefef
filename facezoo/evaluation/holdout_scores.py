"""Splits of the paper's own protocol, from embeddings to plain data; who counts does not matter."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facezoo.evaluation.holdout import Halves, SplitScores, score_histogram, summarise
from facezoo.metrics import (
    DistanceHistogram,
    LabelledRows,
    PairMatrix,
    mean_and_error,
    supports_far,
)

Counted = tuple[PairMatrix, DistanceHistogram]


def sort_splits(
    embedding: NDArray, label: NDArray, splits: Sequence[Halves]
) -> Iterator[tuple[LabelledRows, LabelledRows]]:
    """Yields the rows and the columns of each split.

    Args:
        embedding: float [N, D], unit length or zeros, which baselines give for a picture of one
            colour: these get an axis of their own, so that they lie at 0 from each other and at 2,
            where unrelated pictures lie, from all others.
        label: int [N], the person of each image.
        splits: Which images.
    """
    nothing = ~embedding.any(axis=1)
    if nothing.any():
        embedding = np.column_stack([embedding, nothing])
    for halves in splits:
        rows, columns = (LabelledRows.sort(embedding[half], label[half]) for half in halves)
        yield rows, columns


def score_splits(
    counted: Iterable[Counted], far_targets: Sequence[float], allow_few: bool = False
) -> tuple[dict[str, Any], DistanceHistogram]:
    """Scores splits of which all pairs have been counted, here or elsewhere.

    Args:
        counted: The matrix of each split with the histogram of all its pairs; taken one by one.
        far_targets: FARs, each of which is reported or refused.
        allow_few: Refuses none.

    Returns:
        Plain data for JSON, and the histogram of all splits together. `auc` and each `val_at_far`
        are means over splits with the standard errors of these means; every split is there with
        the threshold that was chosen on itself.

    Raises:
        ValueError: There are fewer than two splits, or one lacks a kind of pairs.
    """
    aucs: list[float] = []
    found: dict[float, list[SplitScores]] = {target: [] for target in far_targets}
    pooled, fewest = None, None
    for matrix, histogram in counted:
        num_impostor = int(histogram.impostor.sum())
        fewest = num_impostor if fewest is None else min(fewest, num_impostor)
        pooled = histogram if pooled is None else pooled + histogram
        aucs.append(histogram.auc()[0])
        for target, splits in found.items():
            if allow_few or supports_far(target, num_impostor):
                splits.append(score_histogram(matrix, histogram, target, allow_few))
    auc, auc_standard_error = mean_and_error(aucs)
    points = [
        {"target": target} | _point(splits)
        if len(splits) == len(aucs)
        else {
            "target": target,
            "refused": f"{fewest:,} impostor pairs of a split are too few: below 10 / {target:g}",
        }
        for target, splits in found.items()
    ]
    return {"auc": auc, "auc_standard_error": auc_standard_error, "val_at_far": points}, pooled


def _point(splits: Sequence[SplitScores]) -> dict[str, Any]:
    whole = summarise(splits)
    rows = [asdict(one) for one in splits]
    return {
        "val": whole.val[0],
        "val_standard_error": whole.val[1],
        "macro_val": whole.macro_val[0],
        "macro_val_standard_error": whole.macro_val[1],
        "splits": [row.pop("point") | row for row in rows],
    }
