"""Evaluator: scores a model on people it has never seen, blesses it if it is the best so far."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facezoo import evaluation
from facezoo.data import schema
from facezoo.data.examples import parse_example
from facezoo.data.pairs import count_pairs
from facezoo.data.records import read_records
from facezoo.models import FaceModel, model_fingerprint
from pipelines.artifacts import Artifact, Examples, Model, ModelBlessing, ModelEvaluation
from pipelines.component import Component, ComponentError, Context, Counts
from pipelines.embedding import (
    BASELINE,
    MEASURED,
    MODEL,
    NAMES,
    UNCURATED,
    EmbedBatch,
    check_finite,
    embed_shards,
)
from pipelines.evaluation_breakdown import break_down
from pipelines.evaluation_pictures import write_pictures
from pipelines.holdout import check_holdout, score_holdout
from pipelines.json_files import write_json

SOURCE = "half of split {split} of {datasets}"
TITLE = (
    "{num_identities} people of the {split} split, "
    "{num_genuine:,} genuine and {num_impostor:,} impostor pairs"
)


@dataclass(frozen=True)
class Params:
    """Parameters of `Evaluator`.

    Args:
        split: The split to score.
        batch_size: Images embedded at once.
        num_folds: Folds of people for the accuracy, at least 2.
        min_auc: AUC that a model must reach to be blessed, in [0, 1].
        num_splits: Splits of people for the paper's own protocol, at least 2; 0 leaves it out.

    Raises:
        ValueError: A number is out of range.
    """

    split: str = schema.EVAL
    batch_size: int = 64
    num_folds: int = 5
    min_auc: float = 0.0
    num_splits: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {self.batch_size}.")
        if self.num_folds < 2:
            raise ValueError(f"num_folds must be at least 2. Received: {self.num_folds}.")
        if not 0 <= self.min_auc <= 1:
            raise ValueError(f"min_auc must be in [0, 1]. Received: {self.min_auc}.")
        if self.num_splits != 0 and self.num_splits < 2:
            raise ValueError(f"num_splits must be 0 or at least 2. Received: {self.num_splits}.")


def read_labels(shards: Iterable[Path]) -> tuple[NDArray[np.int32], str]:
    """Returns the labels of all records in order, int32 [N], and the names of their data sets.

    Raises:
        ComponentError: A record is damaged.
    """
    label, datasets = [], set()
    try:
        for record in (parse_example(one) for shard in shards for one in read_records(shard)):
            label.append(record.label)
            datasets.add(record.dataset)
    except ValueError as error:
        raise ComponentError(str(error)) from error
    return np.array(label, np.int32), ", ".join(sorted(datasets))


def check_people(label: NDArray, params: Params) -> None:
    """Raises ComponentError where the people of the split do not make the pairs asked for."""
    split = params.split
    counts = count_pairs(label)
    if not counts["num_genuine"] or not counts["num_impostor"]:
        raise ComponentError(
            f"The {split} split cannot be scored: that takes two people or more, one of them with "
            f"two images or more. It holds {counts['num_images']} images of "
            f"{counts['num_identities']} people. Add people, or put a larger share into {split}."
        )
    if params.num_splits:
        check_holdout(label, params.num_splits)


def load_model(artifact: Model) -> FaceModel:
    """Loads a model with the preprocessing that it is bound to.

    Raises:
        ComponentError: Files are missing or damaged, or the preprocessing does not fit.
    """
    try:
        return FaceModel.from_preset(artifact.uri)
    except (OSError, TypeError, ValueError) as error:
        raise ComponentError(f"The model in {artifact.uri} cannot be scored: {error}") from error


def bound_to(model: FaceModel) -> dict[str, str]:
    """Returns what thresholds are bound to."""
    return {
        "model": model_fingerprint(model),
        "preprocessing": model.preprocessing.fingerprint(),
    }


def judge(auc: Mapping[str, float], min_auc: float) -> tuple[bool, list[str]]:
    """Decides whether a model is blessed.

    Args:
        auc: Of the model and of all that it must beat, by the keys of `NAMES`.
        min_auc: What it must reach as well.

    Returns:
        Whether it is strictly better than all of them, and not worse than the model before
        curation; and one sentence for each comparison.
    """
    own, rivals = auc[MODEL], [name for name in NAMES if name in auc and name != MODEL]
    found = [_compare(own, name, auc[name]) for name in rivals]
    if own < min_auc:
        found.append((False, f"AUC {own:.4f} is below min_auc {min_auc:.4f}"))
    return all(beaten for beaten, _ in found), [reason for _, reason in found]


def _compare(own: float, name: str, rival: float) -> tuple[bool, str]:
    if name == UNCURATED:
        # Cleaner data that cost nothing are worth having.
        beaten, words = own >= rival, ("is below", "is not below")
    else:
        beaten, words = own > rival, ("is not above", "is above")
    return beaten, f"AUC {own:.4f} {words[beaten]} {rival:.4f} of the {NAMES[name]}"


def bless(
    blessing: Artifact, verdict: Mapping[str, Any], model: Model, baseline: Model | None
) -> None:
    """Writes the verdict as TFX does: an empty file, and properties."""
    (blessing.uri / ("BLESSED" if verdict["blessed"] else "NOT_BLESSED")).touch()
    blessing.properties |= {
        "blessed": int(verdict["blessed"]),
        "current_model": model.fingerprint,
        "baseline_model": baseline.fingerprint if baseline is not None else "",
        "reasons": "; ".join(verdict["reasons"]),
    }


class Evaluator(Component):
    """Scores all pairs of a split's people by the model and by what it must beat.

    Inputs:
        transformed_examples: Face crops.
        model: `model.keras` and `preset.json`.
        baseline_model: The last blessed model, if there is one.
        uncurated_model: The model of the first round, if this is the second, on cleaned data.

    Outputs:
        evaluation: `metrics.json`, `thresholds.json`, `roc.png`, `distances.png`, and
            `tensorboard/` with one run for each of the model, raw pixels, the untrained network,
            the model before curation and the last blessed model. Of the model `metrics.json` also
            has `slices`, by brightness, contrast and sharpness of the pictures, and
            `quantization`, what one byte per number costs. With `num_splits` also
            `holdout.json`: of each of them the VAL at FAR 1e-3 on all pairs of each split, the
            mean and its standard error.
        blessing: `BLESSED` or `NOT_BLESSED`, an empty file; the properties `blessed` (1 or 0),
            `current_model` and `baseline_model` (fingerprints) and `reasons`.

    Guarantees:
        Deterministic on one kind of machine: batches, their order and the untrained network's
        weights are fixed. No random choice, no sampling of pairs. A record that is damaged, gets
        lost on the way or cannot be decoded stops the run. A model is blessed only if its AUC is
        strictly above that of raw pixels, of the untrained network and of the last blessed model,
        and not below that of the model before curation.
        Thresholds are chosen on half of the people and tested on the other half.
    """

    INPUTS = {"transformed_examples": Examples, "model": Model}
    OPTIONAL_INPUTS = {BASELINE: Model, UNCURATED: Model}
    OUTPUTS = {"evaluation": ModelEvaluation, "blessing": ModelBlessing}
    Params = Params

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        params, examples = self.params, inputs["transformed_examples"]
        model = inputs["model"]
        others = {name: inputs[name] for name in self.OPTIONAL_INPUTS if inputs.get(name)}
        shards = examples.shards(params.split)
        label, datasets = read_labels(shards)
        check_people(label, params)
        candidate = load_model(model)
        for other in others.values():
            load_model(other)
        folder = outputs["evaluation"].uri
        embed = EmbedBatch(str(model.uri), {name: str(one.uri) for name, one in others.items()})
        embeddings, label = embed_shards(shards, embed, params.batch_size, folder, context)
        measured = embeddings.pop(MEASURED)
        check_finite(embeddings)
        scores = {
            name: evaluation.evaluate_embedding(embeddings[name], label, params.num_folds)
            for name in embeddings
        }
        blessed, reasons = judge({name: scores[name]["auc"] for name in scores}, params.min_auc)
        counts = count_pairs(label)
        verdict = {"blessed": blessed, "reasons": reasons}
        absent = dict.fromkeys(self.OPTIONAL_INPUTS)
        details = break_down(embeddings[MODEL], label, measured, scores[MODEL])
        write_json(folder / "metrics.json", {**absent, **scores, **counts, **verdict, **details})
        facts = {**counts, "split": params.split, "datasets": datasets}
        table = evaluation.table_of_halves(
            embeddings[MODEL], label, bound_to(candidate), SOURCE.format(**facts)
        )
        write_json(folder / "thresholds.json", table)
        write_pictures(folder, embeddings, label, scores, TITLE.format(**facts))
        if params.num_splits:
            found = score_holdout(embeddings, label, params.num_splits, folder, context)
            write_json(folder / "holdout.json", found)
        bless(outputs["blessing"], verdict, model, others.get(BASELINE))
        return {
            "people": counts["num_identities"],
            "images": counts["num_images"],
            "pairs": counts["num_genuine"] + counts["num_impostor"],
            "AUC": round(scores[MODEL]["auc"], 4),
            "blessed": int(blessed),
        }
