"""What a form of a model is: how it is written, and how it is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facezoo.models import FaceModel

# float32 [N, h, w, 3], standardised, to embedding float32 [N, D] and norm float32 [N], by name.
Embed = Callable[[NDArray[np.float32]], dict[str, NDArray[np.float32]]]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What is written.

    Args:
        model: Built.
        preset: Content of its preset.json: what it calls itself, and the thresholds that were
            measured with it.
        calibration: float32 [M, h, w, 3], standardised: pictures that tell an 8-bit network the
            range of every activation; None for none.
    """

    model: FaceModel
    preset: Mapping[str, Any]
    calibration: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Form:
    """One of them.

    Args:
        name: For `--formats`.
        path: Of the file or folder, within the folder of all forms.
        write: Writes a model to a path that is not there yet.
        open: Loads it from there, to be run on this machine's processor.
        packages: That `write` and `open` import, beside those of every installation.
        needs_calibration: Whether the model's pictures for calibration must be there.
        exact: Whether its embeddings are those of the Keras model up to rounding.
    """

    name: str
    path: str
    write: Callable[[TrainedModel, Path], None]
    open: Callable[[Path], Embed]
    packages: tuple[str, ...] = ()
    needs_calibration: bool = False
    exact: bool = True
