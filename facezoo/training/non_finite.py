"""Stops a training whose loss is no number, and keeps the batch that did it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def refuse_non_finite(
    logs: Mapping[str, float], batches: Any, step: int, folder: Path | None
) -> None:
    """Checks the logs of a step.

    The weights are spoilt by the step before at the latest: both batches are written.

    Args:
        logs: Of this step.
        batches: Where its images came from.
        step: Its number.
        folder: For `non-finite-<step>.npz` with `image`, `label` and, if known, `position` (the
            images' numbers in the index) of this batch, and of the one before with `_before`; None
            for no file.

    Raises:
        ValueError: The loss or a metric is not finite.
    """
    if all(map(math.isfinite, logs.values())):
        return
    where = "" if folder is None else f" The batch is in {_write(batches, step, Path(folder))}."
    raise ValueError(
        f"The loss is no longer a number at step {step}: {dict(logs)}.{where} "
        "Lower the learning rate or the head's scale, or look at the images."
    )


def _write(batches: Any, step: int, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"non-finite-{step:09d}.npz"
    arrays = {}
    for name, number in (("", step), ("_before", step - 1)):
        if number < 0:
            continue
        batch = batches.read(number)
        arrays |= {f"image{name}": batch.image, f"label{name}": batch.label}
        if hasattr(batches, "positions"):
            arrays[f"position{name}"] = batches.positions(number)
    np.savez_compressed(path, **arrays)
    return path
