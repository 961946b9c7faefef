"""Curator: looks for people, labels and pictures that spoil a model; cleans if it is told to."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facezoo import curation
from facezoo.curation import Curation, Decision, Faces, Finding, Rules
from facezoo.data import schema
from facezoo.data.record_index import RecordIndex, UnfitIndex
from pipelines.artifacts import Artifact, CurationPlan, Examples, Model
from pipelines.beam_errors import one_clear_line
from pipelines.component import Component, ComponentError, Context, Counts
from pipelines.curation_files import write_files
from pipelines.face_columns import read_faces
from pipelines.fingerprints import digest, file_digest, folder_facts
from pipelines.relabelling import (
    Part,
    cleaning_edits,
    renumbering_edits,
    rewrite,
    selecting_edits,
)
from pipelines.witness import centers_of, load_witness

_MIN_PEOPLE = 2
_TRAINED = "the model of this run"


@dataclass(frozen=True)
class Params(Rules):
    """What is looked for (`facezoo.curation.Rules`), by what, and what is done about it.

    Args:
        apply: Whether a second round trains on what the plan leaves; else it is only reported.
        model: Preset folder of the model that judges; "" for the Trainer's own, which was taught
            the very labels it judges and pushes duplicate people apart.
        reviewed: A review.csv that a person has changed, which wins over the rules; "" for none.
        published: A published list of couples who are one person; "" for none.
        batch_size: Images embedded at once, at least 1.

    Raises:
        ValueError: A value is out of range.
    """

    apply: bool = False
    model: str = ""
    reviewed: str = ""
    published: str = ""
    batch_size: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {self.batch_size}.")

    def rules(self) -> Rules:
        """Returns what is looked for, without paths: reports name no machine."""
        names = [field.name for field in dataclasses.fields(Rules)]
        return Rules(**{name: getattr(self, name) for name in names})


def refuse_useless(found: Curation) -> None:
    """Checks that there is something to clean, and somebody left to train on.

    Raises:
        ComponentError: There is not.
    """
    if not curation.changes_anything(found):
        raise ComponentError(
            "The plan is empty: nobody is to be merged, nothing to be dropped. Run without "
            "curator.apply, set stricter rules, or give a review (--set curator.reviewed=..)."
        )
    if (num_people := len(found.cleaned.people)) < _MIN_PEOPLE:
        raise ComponentError(
            f"The plan leaves {num_people} of the people, and training takes {_MIN_PEOPLE} or "
            "more. Set less strict rules, or give a review (--set curator.reviewed=..)."
        )


class Curator(Component):
    """Plans which people to merge and what to drop, and writes the records as the plan has them.

    Only the train split is judged: who is in the eval split decides how good a model is, and is
    never looked at.

    Inputs:
        transformed_examples: Face crops.
        model: The Trainer's. Its class centres count if no other model judges.

    Outputs:
        plan: `plan.jsonl`, every decision with its evidence; `review.csv`, the same for a person
            to change; `report.html`; `curation.json`, the counts; `class_map.json`, who each class
            is made of. Properties `version` (of the plan) and `applied` (1 or 0).
        curated_examples: What the plan leaves of the train split, labels without gaps from 0 on;
            the other splits as they were, their labels after those. `quarantine.csv` lists what
            was dropped.
        hard_examples: The hardest of what is left, a train split with the same labels.

    Params:
        apply, model, reviewed, published, batch_size; people, labels, norms, pictures, hard,
        min_images.

    Guarantees:
        Deterministic on one kind of machine. Inputs are not changed, and nobody reads what was
        cleaned unless `apply` says so. Records in and out are counted. With `apply` an empty plan,
        or one that leaves fewer than two people, stops the run.
    """

    INPUTS = {"transformed_examples": Examples, "model": Model}
    OUTPUTS = {
        "plan": CurationPlan,
        "curated_examples": Examples,
        "hard_examples": Examples,
    }
    Params = Params

    def external_fingerprint(self, context: Context) -> str:
        """Digest of the other model, the review and the published list, as far as there are any."""
        del context
        params, found = self.params, {}
        for name in ("reviewed", "published"):
            if path := getattr(params, name):
                found[name] = _file_digest(name, Path(path))
        if params.model and Path(params.model).is_dir():
            facts = folder_facts(Path(params.model))
            found["model"] = {name: fact["sha256"] for name, fact in facts.items()}
        return digest(found) if found else ""

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        params, source = self.params, inputs["transformed_examples"]
        plan: Any = outputs["plan"]
        witness = load_witness(params.model or str(inputs["model"].uri))
        with one_clear_line(self.id):
            index = _open_index(source, schema.TRAIN)
            faces, labels = read_faces(
                source, schema.TRAIN, witness, params.batch_size, plan.uri, context
            )
            centers, why_not = None, "another model judges"
            if not params.model:
                centers, why_not = centers_of(witness, faces, labels)
            found = self._curate(faces, centers)
            if params.apply:
                refuse_useless(found)
            name = Path(params.model).name or _TRAINED
            warnings = [f"Means of embeddings stand for class centres: {why_not}."]
            report = curation.curation_report(
                faces, found, params.rules(), f"Curation of {', '.join(index.datasets)}", name
            )
            report["warnings"] += [] if centers is not None else warnings
            write_files(plan, faces, found, report, lambda row: index.read(row).encoded)
            plan.properties["applied"] = int(params.apply)
            self._rewrite(source, outputs, faces, found, context)
        return {
            "people": faces.num_people,
            "images": faces.num_images,
            **{name.replace("_", " "): number for name, number in report["counts"].items()},
            "applied": int(params.apply),
        }

    def _curate(self, faces: Faces, centers: NDArray[np.float32] | None) -> Curation:
        params = self.params
        published: Sequence[Finding] = ()
        reviewed: Sequence[Decision] = ()
        try:
            if params.published:
                published = curation.read_published(params.published, faces)
            if params.reviewed:
                reviewed = curation.read_reviewed(params.reviewed, faces)
            return curation.curate(faces, params.rules(), centers, published, reviewed)
        except ValueError as error:
            raise ComponentError(f"The train split cannot be curated: {error}") from error

    def _rewrite(
        self,
        source: Examples,
        outputs: Mapping[str, Artifact],
        faces: Faces,
        found: Curation,
        context: Context,
    ) -> None:
        edits = {schema.TRAIN: cleaning_edits(faces, found.cleaned)}
        hard = {schema.TRAIN: selecting_edits(edits[schema.TRAIN], found.hard.rows)}
        first = len(found.cleaned.people)
        for split in source.splits:
            if split != schema.TRAIN:
                edits[split] = renumbering_edits(_open_index(source, split).label, first)
                first += len({edit.label for edit in edits[split]})
        # In the order of the source, whatever that is.
        edits = {split: edits[split] for split in source.splits}
        parts = [Part(outputs["curated_examples"], edits), Part(outputs["hard_examples"], hard)]
        rewrite(source, parts, context)


def _open_index(examples: Examples, split: str) -> RecordIndex:
    try:
        return RecordIndex.open(examples.index_dir(split), examples.shards(split))
    except UnfitIndex as error:
        raise ComponentError(str(error)) from error


def _file_digest(name: str, path: Path) -> str:
    if not path.is_file():
        raise ComponentError(
            f"{path} is no file. Expected a CSV: --set curator.{name}=FILE, or leave it out."
        )
    return file_digest(path)
