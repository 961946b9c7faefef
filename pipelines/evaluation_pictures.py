"""What an evaluation shows: ROC and distances as pictures, and all scores for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from facezoo import evaluation, metrics
from facezoo.data.pairs import all_pairs
from facezoo.event_file import write_event_file
from pipelines.embedding import MODEL, NAMES

_SCALARS = ("auc", "eer", "accuracy", "val_at_far_1e-2", "val_at_far_1e-3")


def write_pictures(
    folder: Path,
    embeddings: Mapping[str, NDArray],
    label: NDArray,
    scores: Mapping[str, Mapping[str, Any]],
    title: str,
) -> None:
    """Writes the plots, and plots and scores once more for TensorBoard."""
    # The plots give the first curve the place of honour.
    in_order = [name for name in NAMES if name in embeddings]
    distances = {name: all_pairs(embeddings[name], label) for name in in_order}
    curves = {NAMES[name]: metrics.roc_curve(*pairs) for name, pairs in distances.items()}
    named = {NAMES[name]: found for name, found in scores.items()}
    plots = {
        "roc": evaluation.plot_roc(curves, named, title),
        "distances": evaluation.plot_distances(*distances[MODEL], scores[MODEL], title),
    }
    for name, png in plots.items():
        (folder / f"{name}.png").write_bytes(png)
    for name, found in scores.items():
        scalars = {f"evaluation/{key}": found[key] for key in _SCALARS if found[key] is not None}
        images = {f"evaluation/{key}": png for key, png in plots.items()} if name == MODEL else {}
        write_event_file(folder / "tensorboard" / name, scalars, images)
