"""The base of every component: typed inputs and outputs, parameters, and `run`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.artifacts import Artifact

Counts = Mapping[str, int | float | str]


class ComponentError(Exception):
    """Nothing can go on; the message is one line that says what happened and how to mend it."""


@dataclass(frozen=True)
class Channel:
    """A named output of a component, before it exists."""

    producer: "Component"
    key: str


@dataclass(frozen=True)
class LatestBlessedModel:
    """Stands for the newest blessed model of earlier runs; None where there is none.

    Args:
        candidate: The model under evaluation, which is no rival of its own.
        besides: Other models of this run, which are none of an earlier one either.
    """

    candidate: Channel
    besides: tuple[Channel, ...] = ()


@dataclass
class Context:
    """What the runner lends to a component while it runs.

    Args:
        serving_dir: Where Pusher puts model versions.
        beam_args: Flags for Beam, the runner among them.
        work_dir: A folder of the component's own that is there again when a killed run of it, with
            the same inputs and parameters, is run again; removed when it has finished. It need not
            exist. None outside the runner.
    """

    serving_dir: Path
    beam_args: list[str] = field(default_factory=lambda: ["--runner=FnApiRunner"])
    work_dir: Path | None = None

    def beam_pipeline(self) -> beam.Pipeline:
        """Returns a new Beam pipeline with the user's flags."""
        return beam.Pipeline(options=PipelineOptions(self.beam_args))


class Component:
    """One step of the pipeline.

    A subclass declares `INPUTS`, `OUTPUTS` (key: artifact type) and `Params` (a frozen dataclass),
    and does its work in `run`. It writes only under the folders of its outputs, which exist and are
    empty; the runner puts them into place when `run` has returned.
    """

    INPUTS: ClassVar[Mapping[str, type[Artifact]]] = {}
    OPTIONAL_INPUTS: ClassVar[Mapping[str, type[Artifact]]] = {}
    OUTPUTS: ClassVar[Mapping[str, type[Artifact]]] = {}
    Params: ClassVar[type]

    def __init__(self, params: Any = None, **inputs: Channel | LatestBlessedModel) -> None:
        self.params = self.Params() if params is None else params
        self.inputs = inputs
        self.id = type(self).__name__
        missing, unknown = set(self.INPUTS) - set(inputs), set(inputs) - set(self.INPUTS)
        unknown -= set(self.OPTIONAL_INPUTS)
        if missing or unknown:
            raise TypeError(
                f"{self.id} takes the inputs {sorted(self.INPUTS)} and, if wished, "
                f"{sorted(self.OPTIONAL_INPUTS)}. Missing: {sorted(missing)}. "
                f"Unknown: {sorted(unknown)}."
            )
        if not isinstance(self.params, self.Params):
            raise TypeError(f"{self.id} takes {self.Params}. Received: {self.params!r}.")
        self.outputs = {key: Channel(self, key) for key in self.OUTPUTS}

    def with_id(self, name: str) -> Self:
        """Gives it another id than its class's name, as TFX does; two of one class need that."""
        self.id = name
        return self

    def upstream(self) -> Iterable["Component"]:
        """The components whose outputs this one reads."""
        for channel in self.inputs.values():
            if isinstance(channel, LatestBlessedModel):
                yield from (one.producer for one in (channel.candidate, *channel.besides))
            else:
                yield channel.producer

    def external_fingerprint(self, context: Context) -> str:
        """Digest of what the component reads or keeps outside the pipeline root; "" for nothing."""
        del context
        return ""

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        """Does the work.

        Args:
            inputs: Artifacts by key. An optional input may be None.
            outputs: Artifacts with empty folders, to be filled; properties may be set.
            context: What the runner lends.

        Returns:
            The counts that the progress line and the execution record show.

        Raises:
            ComponentError: Nothing can go on.
        """
        raise ComponentError(f"{self.id} does not say how it runs.")
