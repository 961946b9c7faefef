"""How pixels become a model's input: stated once, saved with the weights, bound by a hash."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from keras import ops

from facezoo import shapes
from facezoo.ops import Tensor, safe_sqrt

STANDARDIZATIONS = ("fixed", "per_image")
ALIGNMENTS = ("none",)


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a face crop before the network sees it.

    Args:
        height: Rows of the network's input, pixels.
        width: Columns of the network's input, pixels.
        standardization: `"fixed"`: (x - 127.5) / 128 (ArcFace, facenet's evaluation);
            `"per_image"`: (x - mean) / max(std, 1/sqrt(H*W*3)) over all of it (early facenet).
        alignment: How the crop was made from the photograph: `"none"`, the picture as it is.

    Raises:
        ValueError: A field is out of range.
    """

    height: int
    width: int
    standardization: str = "fixed"
    alignment: str = "none"

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            if not getattr(self, name) >= 1:
                raise ValueError(
                    f"{name} must be 1 pixel or more. Received: {getattr(self, name)}."
                )
        for name, known in (
            ("standardization", STANDARDIZATIONS),
            ("alignment", ALIGNMENTS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}. Received: {getattr(self, name)!r}."
                )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the network's input."""
        return (self.height, self.width, shapes.NUM_CHANNELS)

    def fingerprint(self) -> str:
        """Digest that binds weights and thresholds to this preprocessing."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def get_config(self) -> dict[str, Any]:
        """Returns the fields as plain data."""
        return asdict(self)

    def standardize(self, image: Tensor) -> Tensor:
        """Pixels to the network's input.

        Args:
            image: uint8 or float [..., H, W, 3] in [0, 255], RGB.

        Returns:
            float32, same shape.
        """
        image = ops.cast(image, shapes.FLOAT)
        if self.standardization == "fixed":
            return (image - 127.5) / 128.0
        mean = ops.mean(image, axis=(-3, -2, -1), keepdims=True)
        variance = ops.mean(ops.square(image - mean), axis=(-3, -2, -1), keepdims=True)
        smallest = 1.0 / float(self.height * self.width * shapes.NUM_CHANNELS) ** 0.5
        return (image - mean) / ops.maximum(safe_sqrt(variance), smallest)
