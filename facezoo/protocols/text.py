"""Lines of a text file, as lists of pairs come in."""

from pathlib import Path


def read_lines(path: Path) -> list[str]:
    """Reads the lines of a UTF-8 file, without line ends and without empty lines at its end.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not UTF-8 text, or empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be UTF-8 text. Received: the byte {error.object[error.start]:#04x} at "
            f"position {error.start}. Is it the right file?"
        ) from error
    lines = text.rstrip().split("\n") if text.strip() else []
    if not lines:
        raise ValueError(f"{path} is empty. Copy it again.")
    return [line.rstrip("\r") for line in lines]


def fail(path: Path, line: int, expected: str, received: object) -> ValueError:
    """Returns the error of one line, counted from 1."""
    return ValueError(f"{path}, line {line}: expected {expected}. Received: {received!r}.")
