"""What every client does alike: cuts large batches, names the signatures, reads the facts."""

import abc
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facezoo.serving import signatures
from facezoo.serving.facts import THRESHOLDS
from facezoo.serving.model_config import MODEL_NAME

Arrays = Mapping[str, np.ndarray]


class ServerError(Exception):
    """Why a server did not answer; one line."""


@dataclass(frozen=True)
class Client(abc.ABC):
    """Asks one model of a server.

    Args:
        address: Of the server.
        model: Its name there.
        version: Which version to ask; None for the newest that is loaded.
        label: The version by its label instead, such as `"stable"`.
        timeout: Seconds to wait for an answer.
        batch_size: Most pictures in one request; more are sent in several.

    Raises:
        ValueError: A value is out of range, or both version and label are given.
    """

    address: str
    model: str = MODEL_NAME
    version: int | None = None
    label: str | None = None
    timeout: float = 60.0
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.version is not None and self.label is not None:
            raise ValueError(
                "Give a version or a label, not both. "
                f"Received: version={self.version}, label={self.label!r}."
            )
        for name in ("timeout", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0. Received: {getattr(self, name)}.")

    @abc.abstractmethod
    def call(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        """Calls a signature with one request.

        Args:
            signature: Its name.
            inputs: By name; bytes in an object array.

        Returns:
            Its outputs by name; texts as bytes in an object array.

        Raises:
            ServerError: The server cannot be reached, or refuses.
        """

    def embed(self, pictures: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Embeds pictures.

        Args:
            pictures: One or more; each the content of a JPEG or PNG file.

        Returns:
            `embedding` float32 [N, D] of unit length, `norm` float32 [N], `valid` bool [N]: False
            where a picture cannot be read, and then the embedding is zero.

        Raises:
            ServerError: The server cannot be reached, or refuses.
            ValueError: There are no pictures, or one is not bytes.
        """
        return self._call_in_batches(signatures.EMBED_BYTES, {signatures.IMAGE_BYTES: pictures})

    def verify(self, first: Sequence[bytes], second: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Compares pictures in pairs, by the threshold that is stored with the model.

        Args:
            first, second: As many of the one as of the other, as for `embed`.

        Returns:
            `distance` float32 [N], `same` bool [N], `probability` float32 [N] (NaN if the model
            holds no calibration), `valid` bool [N]: False where one of the two cannot be read.

        Raises:
            ServerError: The server cannot be reached, or refuses.
            ValueError: There are no pictures, one is not bytes, or the numbers differ.
        """
        if len(first) != len(second):
            raise ValueError(
                f"Pairs take as many first pictures as second. Received: {len(first)} and "
                f"{len(second)}."
            )
        pairs = {signatures.FIRST_BYTES: first, signatures.SECOND_BYTES: second}
        return self._call_in_batches(signatures.VERIFY_PAIR, pairs)

    def info(self) -> dict[str, Any]:
        """Returns what the model says of itself: its name, fingerprints, thresholds and so on."""
        answer = self.call(signatures.INFO, {signatures.IGNORED: np.array([b""], dtype=object)})
        found = {name: values[0] for name, values in answer.items()}
        texts = {name: one.decode() for name, one in found.items() if isinstance(one, bytes)}
        numbers = {name: one.item() for name, one in found.items() if name not in texts}
        return {**numbers, **texts, THRESHOLDS: json.loads(texts[THRESHOLDS])}

    def _call_in_batches(
        self, signature: str, inputs: Mapping[str, Sequence[bytes]]
    ) -> dict[str, np.ndarray]:
        columns = {name: _column(values) for name, values in inputs.items()}
        answers = [self.call(signature, batch) for batch in _batches(columns, self.batch_size)]
        return {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}


def _column(pictures: Sequence[bytes]) -> np.ndarray:
    wrong = [type(one).__name__ for one in pictures if not isinstance(one, bytes)]
    if wrong or not len(pictures):
        raise ValueError(
            "Pictures must be one or more files' contents as bytes, such as Path.read_bytes() "
            f"gives. Received: {wrong[0] if wrong else 'none'}."
        )
    column = np.empty(len(pictures), dtype=object)
    column[:] = pictures
    return column


def _batches(columns: Arrays, size: int) -> Iterator[Arrays]:
    number = len(next(iter(columns.values())))
    for start in range(0, number, size):
        yield {name: column[start : start + size] for name, column in columns.items()}
