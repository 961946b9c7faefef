"""Runs a pipeline: in order, skipping what is unchanged, resuming what was cut off."""

import dataclasses
import fcntl
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from pipelines import fingerprints
from pipelines.artifacts import Artifact
from pipelines.component import Component, ComponentError, Context, Counts, LatestBlessedModel
from pipelines.executions import ExecutionStore
from pipelines.resolver import latest_blessed_model

_LOCK = ".lock"


@dataclass(frozen=True)
class StepResult:
    """What a component did in this run.

    Args:
        component: Its id.
        skipped: Whether an earlier execution with the same inputs was taken instead.
        counts: What it counted when it ran.
        seconds: Time it took in this run.
        outputs: Its artifacts.
    """

    component: str
    skipped: bool
    counts: Counts
    seconds: float
    outputs: Mapping[str, Artifact]


def topological_order(components: Sequence[Component]) -> list[Component]:
    """Returns the components so that each stands behind those it reads from.

    Raises:
        ValueError: Two components bear one id, or a producer is not in the list.
    """
    by_id = {component.id: component for component in components}
    if len(by_id) != len(components):
        raise ValueError(f"Ids must differ. Received: {[component.id for component in components]}")
    graph = {one.id: {source.id for source in one.upstream()} for one in components}
    missing = set().union(*graph.values()) - set(by_id)
    if missing:
        raise ValueError(f"Not in the pipeline, but read from: {', '.join(sorted(missing))}.")
    return [by_id[name] for name in TopologicalSorter(graph).static_order()]


def run_pipeline(
    components: Sequence[Component],
    root: Path,
    context: Context,
    report: Callable[[StepResult], None],
) -> dict[str, StepResult]:
    """Runs every component that must run.

    A component is skipped if an earlier execution had the same parameters, code, inputs and
    outside world, and its outputs are still as it left them.

    Args:
        components: In any order.
        root: Pipeline root: `{root}/{Component}/{output}/{execution}/`.
        context: What components are lent.
        report: Called when a component is done.

    Returns:
        The results by component id, in the order of the run.

    Raises:
        ComponentError: A component cannot go on, or another run holds the root.
    """
    results: dict[str, StepResult] = {}
    with _only_run(root):
        store = ExecutionStore(root)
        for component in topological_order(components):
            inputs = _resolve(component, results, store)
            results[component.id] = _run_step(component, inputs, store, context)
            report(results[component.id])
    return results


@contextmanager
def _only_run(root: Path) -> Iterator[None]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = open(root / _LOCK, "w")
    except OSError as error:
        raise ComponentError(
            f"The pipeline root {root} cannot be written: {error.strerror}. "
            "Choose another with --pipeline_root."
        ) from error
    with lock:
        try:
            # The kernel drops the lock when the process dies, however it dies.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ComponentError(
                f"Another run is at work in {root}. Wait for it or use another --pipeline_root."
            ) from error
        yield


def _resolve(
    component: Component, results: Mapping[str, StepResult], store: ExecutionStore
) -> dict[str, Artifact | None]:
    found: dict[str, Artifact | None] = {}
    for key, channel in component.inputs.items():
        if isinstance(channel, LatestBlessedModel):
            ours = (channel.candidate, *channel.besides)
            models = [results[one.producer.id].outputs[one.key] for one in ours]
            found[key] = latest_blessed_model(store, component.id, models)
        else:
            found[key] = results[channel.producer.id].outputs[channel.key]
    return found


def _run_step(
    component: Component,
    inputs: Mapping[str, Artifact | None],
    store: ExecutionStore,
    context: Context,
) -> StepResult:
    start = time.monotonic()
    described = _describe(component, inputs, context)
    done = store.find(component.id, fingerprints.digest(described))
    if skipped := done is not None:
        execution = done
    else:
        number, outputs = store.begin(component)
        work_dir = store.work_dir(component, fingerprints.digest(described))
        try:
            counts = _execute(
                component, inputs, outputs, dataclasses.replace(context, work_dir=work_dir)
            )
        except BaseException:
            store.abandon(outputs)
            raise
        # A component may have changed the outside world itself: the next run compares with that.
        described["external"] = component.external_fingerprint(context)
        content = {
            **described,
            "component": component.id,
            "fingerprint": fingerprints.digest(described),
            "counts": counts,
            "seconds": round(time.monotonic() - start, 3),
        }
        execution = store.commit(component, number, outputs, content)
        shutil.rmtree(work_dir, ignore_errors=True)
    return StepResult(
        component.id,
        skipped,
        execution.content["counts"],
        time.monotonic() - start,
        {
            key: execution.output(store.root, key, artifact_type)
            for key, artifact_type in component.OUTPUTS.items()
        },
    )


def _execute(
    component: Component,
    inputs: Mapping[str, Artifact | None],
    outputs: Mapping[str, Artifact],
    context: Context,
) -> dict[str, int | float | str]:
    try:
        return dict(component.run(inputs, outputs, context))
    except OSError as error:
        raise ComponentError(
            f"{component.id} could not read or write: {error}. "
            "Mend that and run again; finished steps are kept."
        ) from error


def _describe(
    component: Component, inputs: Mapping[str, Artifact | None], context: Context
) -> dict[str, Any]:
    return {
        "params": dataclasses.asdict(component.params),
        "inputs": {
            key: None if artifact is None else artifact.fingerprint
            for key, artifact in sorted(inputs.items())
        },
        "external": component.external_fingerprint(context),
        "code": fingerprints.code_version(),
    }
