"""A run's event files, one for each stretch between checkpoints, so that a resumed run fits on."""

import re
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import SessionLog

from facezoo.event_file import EventFile

# TensorBoard reads a run's files in the order of their names. The time tells two attempts at one
# stretch apart: a TensorBoard that has a file open does not look for another of the same name.
_NAME = "events.out.tfevents.{step:010d}.{time}.facezoo"
_PATTERN = re.compile(r"events\.out\.tfevents\.(\d{10})\.\d+\.facezoo")


class EventLog:
    """Writes a run in which no point stands twice, however often it was killed and resumed.

    A checkpoint ends the file, and the name of the next one holds the checkpoint's step. Who
    resumes from there deletes the files that began then or later: what they hold comes again.

    Args:
        folder: The run; made if it is not there.
        first_step: Steps that were done before, 0 for a new run.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._folder = Path(folder)
        self._began = first_step
        self._file: EventFile | None = None
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            name = _PATTERN.fullmatch(path.name)
            if name and int(name[1]) >= first_step:
                path.unlink()

    def write(self, step: int, **content: Any) -> None:
        """Appends an event; see `EventFile.write`."""
        if self._file is None:
            name = _NAME.format(step=self._began, time=time.time_ns())
            self._file = EventFile(self._folder / name)
            # A TensorBoard that is running forgets the points of an attempt that was killed: those
            # beyond the checkpoint, or all of them.
            forget_from = self._began + 1 if self._began else 0
            self._file.write(forget_from, session_log=SessionLog(status=SessionLog.START))
        self._file.write(step, **content)

    def end_stretch(self, step: int) -> None:
        """Ends the file; the next one begins after `step` steps."""
        self.close()
        self._began = step

    def close(self) -> None:
        """Ends the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
