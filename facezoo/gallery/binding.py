"""What makes two embeddings comparable: the weights, and all that is done to a picture first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facezoo.data.test_time import TestTime


@dataclass(frozen=True)
class Binding:
    """What the embeddings of a gallery were made with.

    Args:
        model: Fingerprint of the weights.
        preprocessing: Fingerprint of the model's `Preprocessing`.
        view: What is done to a picture beside that, and to its embeddings.

    Example:
        >>> Binding("1f", "2e").check(Binding("3d", "2e"), "family.gallery")
        Traceback (most recent call last):
        ...
        ValueError: family.gallery holds embeddings of another model. Expected: 1f. Received: 3d. \
Take the model that it was enrolled with, or enrol its pictures into a new gallery.
    """

    model: str
    preprocessing: str
    view: TestTime = TestTime()

    def check(self, other: "Binding", name: str) -> None:
        """Checks that something else was made with the same.

        Args:
            other: What it was made with.
            name: Of the gallery that has this binding.

        Raises:
            ValueError: It was not; both are named.
        """
        for what, expected, received in (
            ("model", self.model, other.model),
            ("preprocessing", self.preprocessing, other.preprocessing),
            ("test-time view", _words(self.view), _words(other.view)),
        ):
            if expected != received:
                raise ValueError(
                    f"{name} holds embeddings of another {what}. Expected: {expected}. "
                    f"Received: {received}. Take the {what} that it was enrolled with, or enrol "
                    "its pictures into a new gallery."
                )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data that `from_dict` takes."""
        return {
            "model": self.model,
            "preprocessing": self.preprocessing,
            "view": self.view.options(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Binding":
        """Makes a binding of what `to_dict` returned."""
        return cls(content["model"], content["preprocessing"], TestTime(**content["view"]))


def _words(view: TestTime) -> str:
    scales = ",".join(f"{scale:g}" for scale in view.scales)
    return f"--crop={view.crop:g} --flip={view.flip} --scales={scales} --fit={view.fit}"
