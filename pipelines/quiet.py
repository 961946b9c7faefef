"""Keeps the start-up notes of TensorFlow and Beam off the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Sends what is written to standard error, by C++ too, to nowhere.

    TensorFlow's C++ side writes to the file descriptor before any log level is in force, so that
    the descriptor itself must look away. An import that fails inside still raises.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
