"""The ground: event files, which are what TensorBoard reads, written without TensorFlow."""

import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

# TensorFlow's writer puts time, host and process into the name, and the time into each event.
EVENT_FILE: Final = "events.out.tfevents.0.facezoo"
_VERSION = "brain.Event:2"
# Of a PNG: width, height, bits per sample and type of colour.
_HEADER = struct.Struct(">IIBB")
_HEADER_AT = 16
# Numbers per pixel, by a PNG's type of colour.
_NUM_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


class EventFile:
    """An event file that grows, and that a running TensorBoard can follow.

    Args:
        path: Its name must hold `tfevents`. A file of that name is replaced.
        clock: Seconds since 1970, written into every event.

    Raises:
        OSError: The disk is full, or the folder may not be written.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._records = RecordWriter(open(path, "wb"))
        self._clock = clock
        self.write(file_version=_VERSION)

    def write(self, step: int = 0, **content: Any) -> None:
        """Appends one event.

        Args:
            step: Where it stands on TensorBoard's horizontal axis.
            content: One field of TensorBoard's `Event`: `summary`, `graph_def`, `session_log` ..
        """
        event = Event(wall_time=self._clock(), step=step, **content)
        self._records.write(event.SerializeToString(deterministic=True))
        self._records.flush()

    def close(self) -> None:
        """Ends the file."""
        self._records.close()

    def __enter__(self) -> "EventFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def scalars(values: Mapping[str, float]) -> Summary:
    """Returns numbers by tag as a summary."""
    return Summary(
        value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
    )


def images(pictures: Mapping[str, bytes]) -> Summary:
    """Returns PNG files by tag as a summary."""
    return Summary(
        value=[Summary.Value(tag=tag, image=_image(png)) for tag, png in pictures.items()]
    )


def _image(png: bytes) -> Summary.Image:
    width, height, _, color = _HEADER.unpack_from(png, _HEADER_AT)
    return Summary.Image(
        height=height, width=width, colorspace=_NUM_CHANNELS[color], encoded_image_string=png
    )


def write_event_file(
    folder: Path, numbers: Mapping[str, float], pictures: Mapping[str, bytes]
) -> None:
    """Writes one run, all at step 0; its bytes depend on nothing but the content.

    Args:
        folder: The run; made if it is not there.
        numbers: Scalars by tag.
        pictures: PNG files by tag.
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = scalars(numbers)
    summary.MergeFrom(images(pictures))
    with EventFile(folder / EVENT_FILE, clock=lambda: 0.0) as file:
        file.write(summary=summary)
