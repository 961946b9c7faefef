"""What a Layout IS: the names and shapes by which one implementation's arrays are understood."""

import abc
import re
from collections.abc import Mapping, Set
from typing import ClassVar

import numpy as np

from facezoo.conversion.frameworks import Framework
from facezoo.models import FaceModel


class Layout(abc.ABC):
    """The arrays of one weight file, in the words of the implementation that wrote it.

    A subclass says which model the arrays make and where each layer's weights come from. It is
    registered under its file name, and the first whose `SIGNATURE` a file holds reads the file.

    Args:
        arrays: float32 arrays by name, as `weight_files.read` returns them.
        origin: The file, for messages.

    Raises:
        ValueError: An array that the architecture is read from is missing or of another rank.
    """

    SOURCE: ClassVar[str]
    # How the faces were cropped that the network was trained on.
    FACES: ClassVar[str]
    FRAMEWORK: ClassVar[Framework]
    # Names that no other layout has all of.
    SIGNATURE: ClassVar[Set[str]]
    # Full match: arrays that are no part of the network up to the embedding.
    LEFT_BEHIND: ClassVar[re.Pattern[str]]

    def __init__(self, arrays: Mapping[str, np.ndarray], origin: str) -> None:
        self.origin = origin
        self.arrays = {
            name: array for name, array in arrays.items() if not self.LEFT_BEHIND.fullmatch(name)
        }
        self.fold()

    @classmethod
    def name(cls) -> str:
        """Returns the name that the layout is registered under."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def recognizes(cls, names: Set[str]) -> bool:
        """Whether arrays of these names are laid out like this."""
        return names >= cls.SIGNATURE

    # Not abstract: most layouts keep nothing that our layers do not.
    def fold(self) -> None:  # noqa: B027
        """A hook: works into other arrays what our layers have no weight for."""

    @abc.abstractmethod
    def create_model(self) -> FaceModel:
        """Returns a model of the architecture that the arrays' names and shapes tell."""

    @abc.abstractmethod
    def prefix(self, layer: str) -> str:
        """Returns what precedes the weights' names of one of our layers.

        Args:
            layer: Name of a layer of the backbone, or `embedding/` and that of a part of the
                embedding output.
        """

    def array(self, name: str, *ranks: int) -> np.ndarray:
        """Returns the array of a name.

        Args:
            name: As in the file.
            ranks: Numbers of axes that it may have.

        Raises:
            ValueError: It is missing, empty, or has another number of axes.
        """
        if name not in self.arrays:
            raise ValueError(self.unfit(f"Missing: {name}."))
        shape = self.arrays[name].shape
        if len(shape) not in ranks or 0 in shape:
            axes = " or ".join(map(str, ranks))
            raise ValueError(self.unfit(f"Expected: {name} with {axes} axes. Received: {shape}."))
        return self.arrays[name]

    def unfit(self, reason: str) -> str:
        """Returns the message for a file whose arrays do not make the network."""
        return (
            f"{self.origin} is laid out like {self.name()} ({self.SOURCE}), but its arrays do not "
            f"make that network. {reason} Give the file as the original code saved it."
        )
