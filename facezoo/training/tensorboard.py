"""A training in TensorBoard: scalars, histograms, hard triplets, projector, hparams, the graph."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb

from facezoo.event_file import images, scalars
from facezoo.models import FaceModel
from facezoo.training.event_log import EventLog
from facezoo.training.hard_triplets import draw_triplets, hardest_triplets
from facezoo.training.probe import Embedded, Probe, distance_matrix, embed, split_pairs
from facezoo.training.projector import write_projector

Logs = Mapping[str, float] | None


class TrainingBoard(keras.callbacks.Callback):
    """Writes a run for TensorBoard, on any back end, without a trace in the training.

    Every point stands at the number of steps done. `epoch/*` are the logs of an epoch, `step/*`
    those of single steps, both with images per second; after a kill and a resumption each stands
    there once. Of several workers, the chief alone may have a board.

    Args:
        log_dir: The run.
        probe: Images to embed before the first step and after epochs, for histograms of the norm
            and of genuine and impostor distances, for the hardest triplets and the projector.
        hparams: What the tab HPARAMS shows; mappings inside become `outer.inner`.
        every_steps: Steps from one point of `step/*` to the next, at least 1.
        every_epochs: Epochs from one look at the probe to the next, at least 1.
        num_triplets: Rows in the picture of the hardest triplets, 0 for no picture.
        graph: Whether to trace the model once more for the tab GRAPHS; on TensorFlow only.

    Raises:
        ValueError: A number is out of range, or the probe does not fit the model.
    """

    def __init__(
        self,
        log_dir: str | Path,
        probe: Probe | None = None,
        hparams: Mapping[str, Any] | None = None,
        every_steps: int = 50,
        every_epochs: int = 1,
        num_triplets: int = 8,
        graph: bool = True,
    ) -> None:
        super().__init__()
        for name, lowest, given in (
            ("every_steps", 1, every_steps),
            ("every_epochs", 1, every_epochs),
            ("num_triplets", 0, num_triplets),
        ):
            if given < lowest:
                raise ValueError(f"{name} must be at least {lowest}. Received: {given}.")
        self._log_dir = Path(log_dir)
        self._probe = probe
        self._hparams = dict(_flat(hparams or {}))
        self._every_steps = every_steps
        self._every_epochs = every_epochs
        self._num_triplets = num_triplets
        self._graph = graph
        self._steps_done = 0
        self._log: EventLog
        self._epoch_pace = _Pace()
        self._step_pace = _Pace()

    def on_train_begin(self, logs: Logs = None) -> None:
        self._steps_done = self.params.get("first_step", 0)
        self._log = EventLog(self._log_dir, self._steps_done)
        # A run that goes on has all of this in its first file.
        if self._steps_done == 0:
            self._look_at_probe()
            if self._hparams:
                self._log.write(0, summary=hparams_pb(self._hparams))
            if self._graph and keras.backend.backend() == "tensorflow":
                self._log.write(0, graph_def=_graph_def(self.model))
        # A run that goes on in mid-epoch may begin none.
        self._restart_paces()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._restart_paces()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._steps_done += 1
        self._epoch_pace.steps += 1
        self._step_pace.steps += 1
        if self._steps_done % self._every_steps == 0:
            self._write_scalars("step", logs, self._step_pace)
            self._step_pace.restart()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._write_scalars("epoch", logs, self._epoch_pace)
        if (epoch + 1) % self._every_epochs == 0:
            self._look_at_probe()

    def on_checkpoint(self, step: int) -> None:
        """Ends the event file: what follows comes again if the run resumes from here.

        Args:
            step: Steps done.
        """
        self._log.end_stretch(step)

    def on_train_end(self, logs: Logs = None) -> None:
        if self._hparams:
            self._log.write(self._steps_done, summary=_session_end())
        self._log.close()

    def _restart_paces(self) -> None:
        self._epoch_pace.restart()
        self._step_pace.restart()

    def _write_scalars(self, group: str, logs: Logs, pace: "_Pace") -> None:
        values = {f"{group}/{name}": float(value) for name, value in (logs or {}).items()}
        if self.params.get("batch_size"):
            rate = pace.steps_per_second() * self.params["batch_size"]
            values[f"{group}/images_per_second"] = rate
        self._log.write(self._steps_done, summary=scalars(values))

    def _look_at_probe(self) -> None:
        if self._probe is None:
            return
        embedded = embed(self.model, self._probe)
        # Before the first event: TensorBoard looks for these files when it finds the run.
        write_projector(self._log_dir, self._probe, embedded)
        summary = _probe_summary(self._probe, embedded, self._num_triplets)
        self._log.write(self._steps_done, summary=summary)


class _Pace:
    """Steps per second since a moment."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.steps = 0
        self._start = time.perf_counter()

    def steps_per_second(self) -> float:
        return self.steps / max(time.perf_counter() - self._start, 1e-9)


def _probe_summary(probe: Probe, embedded: Embedded, num_triplets: int) -> Summary:
    distances = distance_matrix(embedded.embedding)
    genuine, impostor = split_pairs(distances, probe.label)
    found = {
        "probe/norm": embedded.norm,
        "probe/genuine_distance": genuine,
        "probe/impostor_distance": impostor,
    }
    summary = Summary()
    for tag, values in found.items():
        summary.MergeFrom(histogram_pb(tag, values))
    triplets = hardest_triplets(distances, probe.label, num_triplets)
    if triplets:
        summary.MergeFrom(images({"probe/hardest_triplets": draw_triplets(triplets, probe)}))
    return summary


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            is_plain = isinstance(value, bool | int | float | str)
            yield prefix + name, value if is_plain else str(value)


def _session_end() -> Summary:
    end = SessionEndInfo(status=STATUS_SUCCESS, end_time_secs=time.time())
    tag = hparams_metadata.SESSION_END_INFO_TAG
    content = hparams_metadata.create_summary_metadata(HParamsPluginData(session_end_info=end))
    null = hparams_metadata.NULL_TENSOR
    return Summary(value=[Summary.Value(tag=tag, metadata=content, tensor=null)])


def _graph_def(model: FaceModel) -> bytes:
    """The graph from image to embedding, without the weights' values."""
    import tensorflow as tf

    image = tf.TensorSpec((None, *model.preprocessing.image_shape), tf.float32, name="image")
    call = tf.function(lambda image: model(image, training=False), autograph=False)
    return call.get_concrete_function(image).graph.as_graph_def().SerializeToString()
