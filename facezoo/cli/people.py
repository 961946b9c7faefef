"""Reads the people of a set for the leak gate: pictures, or a manifest, and a model as witness."""

from collections.abc import Mapping, Sequence

import numpy as np

from facezoo.cli.model_loading import LoadedModel
from facezoo.data.manifest_file import SUFFIX, load_manifest
from facezoo.data.people_manifest import PeopleManifest, Witness, build_manifest
from facezoo.data.test_time import TestTime

DIFFERENT = (
    "A CSV of couples that were looked at and are two people: lines of an overlap.csv, with its "
    "first."
)
SETS = f"a folder with one folder per person, a CSV (path, identity), or a manifest ({SUFFIX})"


def read_people(source: str, model: LoadedModel | None, view: TestTime) -> PeopleManifest:
    """Reads a set.

    Args:
        source: One of `SETS`.
        model: Embeds the faces; None leaves embeddings out.
        view: What the model sees of a picture.

    Raises:
        OSError: A manifest cannot be read.
        ValueError: There is no such set, or a manifest holds another model's embeddings.
    """
    if not source.endswith(SUFFIX):
        return build_manifest(source, make_witness(model, view) if model else None, name=source)
    people = load_manifest(source)
    # A manifest without embeddings can still be compared by name and by picture.
    if model and people.witness not in (None, witness_fingerprint(model)):
        raise ValueError(
            f"{source} must hold embeddings of the model that compares faces. Received: those of "
            f"{people.witness}, expected those of {witness_fingerprint(model)}. Give the pictures, "
            "a manifest without embeddings, or the model that made these."
        )
    return people


def make_witness(model: LoadedModel, view: TestTime) -> Witness:
    """Makes a witness that embeds the first view of every picture."""

    def embed(images: Sequence[np.ndarray]) -> Mapping[str, np.ndarray]:
        return model.embed([view.views(image, model.input_size)[0] for image in images])

    return Witness(witness_fingerprint(model), embed)


def witness_fingerprint(model: LoadedModel) -> str:
    """What makes embeddings comparable: weights and preprocessing."""
    preprocessing = model.preprocessing.fingerprint() if model.preprocessing else "unknown"
    return f"{model.fingerprint}-{preprocessing}"
