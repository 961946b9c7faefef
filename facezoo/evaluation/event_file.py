"""TensorBoard logs whose bytes depend on nothing but their content."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from facezoo.data.records import RecordWriter

# TensorFlow's writer puts time, host and process into the name, and the time into each event.
EVENT_FILE: Final = "events.out.tfevents.0.facezoo"
_PNG_SIZE = struct.Struct(">II")
_PNG_SIZE_AT = 16
_RGBA = 4


def write_event_file(
    folder: Path, scalars: Mapping[str, float], images: Mapping[str, bytes]
) -> None:
    """Writes one run for TensorBoard, all at step 0.

    Args:
        folder: The run; made if it is not there.
        scalars: Numbers by tag.
        images: PNG files by tag.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
    values += [Summary.Value(tag=tag, image=_image(png)) for tag, png in images.items()]
    with RecordWriter(folder / EVENT_FILE) as writer:
        for event in (Event(file_version="brain.Event:2"), Event(summary=Summary(value=values))):
            writer.write(event.SerializeToString(deterministic=True))


def _image(png: bytes) -> Summary.Image:
    width, height = _PNG_SIZE.unpack_from(png, _PNG_SIZE_AT)
    return Summary.Image(height=height, width=width, colorspace=_RGBA, encoded_image_string=png)
