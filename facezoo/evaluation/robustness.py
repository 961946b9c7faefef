"""How a system fares on spoiled pictures, and with fewer numbers in its embedding."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facezoo import metrics
from facezoo.evaluation.intervals import resample
from facezoo.evaluation.perturbations import EMBEDDING_DIMS, SWEEPS, Picture, Sweep
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.evaluation.system import System
from facezoo.evaluation.verification_report import ReportOptions

EmbedAll = Callable[[System, Callable[[Picture], Picture]], NDArray[np.float32]]
Score = Callable[[NDArray[np.float32]], ScoredPairs]
Table = dict[str, Any]


def truncate(embedding: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Keeps the first numbers of unit embeddings [N, D] and brings them to unit length again.

    Raises:
        ValueError: An embedding's first numbers are all zero.
    """
    kept = embedding[:, :dim].astype(np.float64)
    length = np.linalg.norm(kept, axis=1, keepdims=True)
    if not length.all():
        raise ValueError(f"The first {dim} numbers of an embedding are zero: it has no direction.")
    return (kept / length).astype(np.float32)


def robustness_tables(
    system: System,
    embed_all: EmbedAll,
    score: Score,
    threshold: float | None,
    options: ReportOptions,
    sweeps: Iterable[Sweep] = SWEEPS,
) -> list[Table]:
    """Scores a system once for every strength of every perturbation.

    All pictures are spoiled, both of every pair. VAL is taken at the lowest of `far_targets` that
    the pairs support, with a threshold for each strength, as the paper does; the accuracy keeps
    the threshold of unspoiled pictures, as a door does that was set up once.

    Args:
        system: What is scored.
        embed_all: (system, change of each picture) to embeddings of all pictures.
        score: Those to pairs.
        threshold: Chosen on unspoiled pictures of other people; None where there is none.
        options: FARs and intervals.
        sweeps: Perturbations.

    Returns:
        `name`, `unit`, `far_target` and `rows` of every table: `value` (None: unspoiled), `auc`,
        `val`, `val_interval` (None where no FAR is supported) and `accuracy`.

    Source:
        FaceNet, arXiv 1503.03832, tables 4 and 5.
    """
    whole = embed_all(system, lambda picture: picture)
    target = lowest_far(score(whole), options)

    def row(value: float | None, embedding: NDArray[np.float32], fixed: float | None) -> Table:
        return _row(value, score(embedding), target, fixed, options)

    clean = row(None, whole, threshold)
    tables = []
    for sweep in sweeps:
        rows = [
            row(value, _spoiled(system, embed_all, sweep, value), threshold)
            for value in sweep.values
        ]
        tables.append({"name": sweep.name, "unit": sweep.unit, "rows": [*rows, clean]})
    dims = [dim for dim in EMBEDDING_DIMS if dim < whole.shape[1]] + [whole.shape[1]]
    # A threshold for all numbers says nothing about fewer.
    rows = [row(dim, truncate(whole, dim), None) for dim in dims]
    tables.append({"name": "Embedding size", "unit": "numbers", "rows": rows})
    return [{**table, "far_target": target} for table in tables]


def _spoiled(
    system: System, embed_all: EmbedAll, sweep: Sweep, value: float
) -> NDArray[np.float32]:
    name = f"{sweep.name} {value:g}"
    if sweep.before_crop:
        return embed_all(replace(system, name=name), lambda picture: sweep.apply(picture, value))
    spoiled = replace(
        system,
        name=name,
        embed=lambda views: system.embed([sweep.apply(view, value) for view in views]),
    )
    return embed_all(spoiled, lambda picture: picture)


def lowest_far(pairs: ScoredPairs, options: ReportOptions) -> float | None:
    """The lowest of the FARs asked for that the pairs support; None if they support none."""
    num_impostor = int(np.count_nonzero(~pairs.same))
    supported = [
        one
        for one in options.far_targets
        if options.allow_few or metrics.supports_far(one, num_impostor)
    ]
    return min(supported, default=None)


def _row(
    value: float | None,
    pairs: ScoredPairs,
    target: float | None,
    threshold: float | None,
    options: ReportOptions,
) -> Table:
    genuine, impostor = pairs.genuine, pairs.impostor
    row: Table = {"value": value, "auc": metrics.auc(genuine, impostor)}
    row |= {"val": None, "val_interval": None, "accuracy": None}
    if threshold is not None:
        row["accuracy"] = metrics.accuracy(genuine, impostor, threshold)
    if target is not None:
        row["val"] = metrics.val_at_far(genuine, impostor, target, options.allow_few).val
        resampled = resample(pairs, (target,), None, options.num_resamples, options.confidence)
        row["val_interval"] = resampled["val_at_far_intervals"][target]
    return row
