"""Finds the newest blessed model of earlier runs, as TFX's LatestBlessedModelStrategy does."""

from collections.abc import Sequence

from pipelines.artifacts import Artifact, Model
from pipelines.executions import Execution, ExecutionStore


def latest_blessed_model(
    store: ExecutionStore, evaluator: str, ours: Sequence[Artifact]
) -> Model | None:
    """Returns the model that was blessed last and is none of this run's.

    Args:
        store: Earlier executions; a model is looked for among the `model` outputs of all of them.
        evaluator: Id of the component whose `blessing` names a `current_model` by fingerprint.
        ours: The models of this run. Leaving them out lets a run on unchanged inputs find the same
            baseline as before, and so be skipped.
    """
    models = {
        model.fingerprint: model
        for component in store.components()
        for execution in store.executions(component)
        if _has_model(execution)
        and (model := execution.output(store.root, "model", Model)).uri.is_dir()
    }
    excluded = {model.fingerprint for model in ours}
    for execution in reversed(store.executions(evaluator)):
        properties = execution.content["outputs"]["blessing"]["properties"]
        blessed = models.get(properties["current_model"])
        if properties["blessed"] and blessed and blessed.fingerprint not in excluded:
            return blessed
    return None


def _has_model(execution: Execution) -> bool:
    return execution.content["outputs"].get("model", {}).get("type") == Model.TYPE
