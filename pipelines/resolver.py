"""Finds the newest blessed model of earlier runs, as TFX's LatestBlessedModelStrategy does."""

from pipelines.artifacts import Artifact, Model
from pipelines.executions import ExecutionStore


def latest_blessed_model(
    store: ExecutionStore, evaluator: str, trainer: str, candidate: Artifact
) -> Model | None:
    """Returns the model that was blessed last and is not the candidate itself.

    Args:
        store: Earlier executions.
        evaluator: Id of the component whose `blessing` names a `current_model` by fingerprint.
        trainer: Id of the component whose `model` output is looked for.
        candidate: The model under evaluation. Leaving it out lets a run on unchanged inputs find
            the same baseline as before, and so be skipped.
    """
    models = {
        model.fingerprint: model
        for execution in store.executions(trainer)
        if (model := execution.output(store.root, "model", Model)).uri.is_dir()
    }
    for execution in reversed(store.executions(evaluator)):
        properties = execution.content["outputs"]["blessing"]["properties"]
        blessed = models.get(properties["current_model"])
        if properties["blessed"] and blessed and blessed.fingerprint != candidate.fingerprint:
            return blessed
    return None
