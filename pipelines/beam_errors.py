"""What the machine refuses to a Beam worker (a full disk, a missing right), said in one line."""

import builtins
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.component import ComponentError

_BEAM_LOGGER = "apache_beam.runners.common"
_ERROR_LINE = re.compile(r"^(?P<type>\w+): (?P<message>.*)$", re.MULTILINE)
_BEAM_STEP = re.compile(r" \[while running .*\]$")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds the file to an OSError that names none, as that of a write to a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextmanager
def one_clear_line(component: str) -> Iterator[None]:
    """Turns an OSError, also one inside a Beam worker, into a ComponentError.

    Beam raises a worker's error again with the step's name at its end, as text in a RuntimeError
    if it cannot make another of its type. An error of any other type is a mistake in the code and
    passes as it is.
    """
    logger = logging.getLogger(_BEAM_LOGGER)
    level = logger.level
    # The traceback comes with the exception as well.
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except (OSError, RuntimeError) as error:
        if message := _system_error(error):
            raise ComponentError(
                f"{component} could not read or write: {message}. Mend that and run again."
            ) from error
        raise
    finally:
        logger.setLevel(level)


def _system_error(error: Exception) -> str:
    """Returns the message of the OSError that `error` is or quotes, or ""."""
    if isinstance(error, OSError):
        return _BEAM_STEP.sub("", str(error))
    # In a traceback the last line is the whole story, those before it are its causes.
    for match in reversed(list(_ERROR_LINE.finditer(str(error)))):
        kind = getattr(builtins, match["type"], None)
        if isinstance(kind, type) and issubclass(kind, OSError):
            return _BEAM_STEP.sub("", match["message"])
    return ""
