"""The paper's own protocol in the pipeline: all pairs of splits of people, counted by Beam."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray

from facezoo.evaluation.holdout_report import KIND, HoldoutOptions
from facezoo.evaluation.holdout_scores import score_splits, sort_splits
from facezoo.metrics import DistanceHistogram
from pipelines.component import ComponentError, Context
from pipelines.pair_counts import CountPairs, read_split, write_split

_FAR_TARGETS: Final = (1e-3,)
Counted = tuple[str, DistanceHistogram]


def check_holdout(label: NDArray, num_splits: int) -> None:
    """Raises ComponentError where people do not make so many splits with both kinds of pairs."""
    try:
        HoldoutOptions(num_splits=num_splits).deal(label)
    except ValueError as error:
        raise ComponentError(f"num_splits={num_splits} is too much: {error}") from error


def score_holdout(
    embeddings: Mapping[str, NDArray],
    label: NDArray,
    num_splits: int,
    folder: Path,
    context: Context,
) -> dict[str, Any]:
    """Scores all pairs rows x columns of each of several splits of people.

    Args:
        embeddings: float32 [N, D] by name.
        label: int [N], the person of each row.
        num_splits: No person is in two of them.
        folder: Where the workers may read and leave files for a while.
        context: What the runner lends.

    Returns:
        Plain data for JSON: how people were dealt, and by name what
        `facezoo.evaluation.holdout_scores.score_splits` returns.

    Raises:
        ComponentError: Pairs got lost on the way.
        ValueError: The people do not suffice for so many splits.
    """
    options = HoldoutOptions(_FAR_TARGETS, num_splits=num_splits)
    splits = options.deal(label)
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        paths: dict[str, list[str]] = {}
        for name, embedding in embeddings.items():
            paths[name] = [str(Path(aside, f"{name}-{number}.npz")) for number in range(num_splits)]
            for path, halves in zip(
                paths[name], sort_splits(embedding, label, splits), strict=True
            ):
                write_split(Path(path), *halves)
        histograms = _count([path for some in paths.values() for path in some], aside, context)
        systems = {}
        for name, some in paths.items():
            counted = ((read_split(path), histograms[path]) for path in some)
            systems[name], _ = score_splits(counted, _FAR_TARGETS)
    deal = {"num_splits": num_splits, "disjoint": options.disjoint, "seed": options.seed}
    return {"kind": KIND, **deal, "systems": systems}


def _count(paths: Sequence[str], aside: str, context: Context) -> dict[str, DistanceHistogram]:
    """Counts the pairs of splits that lie in files."""
    into = str(Path(aside, "histograms.npz"))
    with context.beam_pipeline() as pipeline:
        _ = (
            pipeline
            | "Splits" >> beam.Create(paths)
            | CountPairs()
            | "Gather" >> beam.combiners.ToList()
            | "Write" >> beam.Map(write_histograms, into)
        )
    histograms = read_histograms(into)
    if lost := sorted(set(paths) - set(histograms)):
        raise ComponentError(
            f"Beam lost {len(lost)} of {len(paths)} splits. Use another runner, or report this "
            "one to Beam."
        )
    return histograms


def write_histograms(counted: Iterable[Counted], path: str) -> None:
    """Writes the histograms of splits, whatever order they come in."""
    ordered = sorted(counted, key=lambda one: one[0])
    names, histograms = [name for name, _ in ordered], [one for _, one in ordered]
    np.savez(
        path,
        name=np.array(names, str),
        genuine=np.array([one.genuine for one in histograms]),
        impostor=np.array([one.impostor for one in histograms]),
    )


def read_histograms(path: str) -> dict[str, DistanceHistogram]:
    """Reads what `write_histograms` wrote, by the path of each split."""
    with np.load(path) as file:
        columns = zip(file["name"].tolist(), file["genuine"], file["impostor"], strict=True)
        return {name: DistanceHistogram(*counts) for name, *counts in columns}
