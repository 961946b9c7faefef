"""The model that says how near two faces are: any preset with weights, or the Trainer's own."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facezoo import curation, presets
from facezoo.curation import Faces
from facezoo.models import FaceModel, model_fingerprint
from pipelines.component import ComponentError


class Witness(NamedTuple):
    """A model and where it comes from.

    Args:
        folder: Its preset.
        model: The model.
        fingerprint: Of weights and preprocessing: what makes embeddings comparable.
    """

    folder: str
    model: FaceModel
    fingerprint: str


def load_witness(folder: str) -> Witness:
    """Loads the model that judges.

    Raises:
        ComponentError: There is no such preset, or it has no weights.
    """
    try:
        if presets.load(folder)["weights"] is None:
            raise ValueError("it has no weights, so it has learned nothing")
        model = FaceModel.from_preset(folder)
    except (OSError, TypeError, ValueError) as error:
        raise ComponentError(
            f"The model {folder!r} cannot judge faces: {str(error).rstrip('.')}. Give another "
            "preset folder (--set curator.model=FOLDER), or none for the Trainer's own."
        ) from error
    preprocessing = model.preprocessing.fingerprint()
    return Witness(folder, model, f"{model_fingerprint(model)}-{preprocessing}")


def centers_of(
    witness: Witness, faces: Faces, labels: NDArray[np.int32]
) -> tuple[NDArray[np.float32] | None, str]:
    """Returns the class centres of a model's head, or None and why there are none to be used.

    Args:
        witness: The model that made the embeddings.
        faces: The faces it was trained on.
        labels: int32 [P], the classes of `faces.people` in its head.
    """
    if witness.model.head is None:
        return None, "the model has no head"
    try:
        centers = curation.head_centers(witness.model.head)
        if len(centers) <= labels.max():
            return None, f"the head has {len(centers)} classes, the labels go to {labels.max()}"
        centers = centers[labels]
        curation.check_head(centers, faces)
    except ValueError as error:
        return None, str(error)
    return centers, ""
