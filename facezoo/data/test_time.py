"""What is done to a picture and to its embeddings at test time: crop, mirrored and scaled views."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.data.images import center_crop

NO_FLIP: Final = "none"
CONCAT: Final = "concat"
MEAN: Final = "mean"
FLIPS: Final = (NO_FLIP, CONCAT, MEAN)
STRETCH: Final = "stretch"
CUT: Final = "cut"
FITS: Final = (STRETCH, CUT)


@dataclass(frozen=True)
class TestTime:
    """The views of a picture, and how their embeddings become one.

    Args:
        crop: Share of the picture's sides that is kept around its middle, in (0, 1]; the paper's
            fixed centre crop of LFW is one.
        flip: What a mirrored view adds: `"none"`; `"mean"`: the embeddings are added up and
            brought to unit length; `"concat"`: they are laid end to end and brought to unit
            length, so that the squared distance is the mean over the views.
        scales: Views of the picture, as factors of `crop`; they are combined by `flip`, by mean
            where it is `"none"`.
        fit: How a view gets the proportions of the network's input: `"stretch"`, as a served model
            does; `"cut"`: what protrudes is cut off.

    Raises:
        ValueError: A field is out of range.
    """

    # Not a test, whatever pytest may think of its name.
    __test__ = False

    crop: float = 1.0
    flip: str = NO_FLIP
    scales: tuple[float, ...] = (1.0,)
    fit: str = STRETCH

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(self.scales))
        if not 0.0 < self.crop <= 1.0:
            raise ValueError(
                f"crop must be a share of the sides, in (0, 1]. Received: {self.crop}."
            )
        if self.flip not in FLIPS:
            raise ValueError(f"flip must be one of {', '.join(FLIPS)}. Received: {self.flip!r}.")
        if self.fit not in FITS:
            raise ValueError(f"fit must be one of {', '.join(FITS)}. Received: {self.fit!r}.")
        if not self.scales or not all(0.0 < self.crop * one <= 1.0 for one in self.scales):
            raise ValueError(
                "scales must be one factor or more, and none times crop may show more than the "
                f"picture. Received: scales={list(self.scales)}, crop={self.crop}."
            )

    def views(
        self, image: NDArray[np.uint8], input_size: tuple[int, int] | None = None
    ) -> list[NDArray[np.uint8]]:
        """Returns the views of one picture, as many for every picture.

        Args:
            image: uint8 [H, W, 3].
            input_size: (height, width) of the network's input; None if it does not matter.

        Returns:
            uint8 [h, w, 3] each, not resized.
        """
        cropped = [center(image, self.crop * scale) for scale in self.scales]
        if self.fit == CUT and input_size is not None:
            cropped = [center_crop(view, *input_size) for view in cropped]
        if self.flip == NO_FLIP:
            return cropped
        return [*cropped, *(view[:, ::-1] for view in cropped)]

    def combine(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Makes one embedding of those of the views.

        Args:
            embedding: float32 [N, V, D], of unit length.

        Returns:
            Unit float32 [N, D], or [N, V * D] for `"concat"`.

        Raises:
            ValueError: The views of a picture are opposite: their mean has no direction.
        """
        if embedding.shape[1] == 1:
            return embedding[:, 0]
        wide = embedding.astype(np.float64)
        if self.flip == CONCAT:
            combined = wide.reshape(len(wide), -1)
        else:
            combined = wide.sum(axis=1)
        length = np.linalg.norm(combined, axis=1, keepdims=True)
        if not length.all():
            raise ValueError("The embeddings of a picture's views add up to zero. Use concat.")
        return (combined / length).astype(np.float32)

    def binding(self, preprocessing: str) -> str:
        """What thresholds measured so are bound to, in the place of the preprocessing alone.

        Args:
            preprocessing: Fingerprint of the model's `Preprocessing`.

        Returns:
            The same, if nothing but that is done to a picture.
        """
        if self == TestTime():
            return preprocessing
        text = json.dumps([preprocessing, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def options(self) -> dict[str, Any]:
        """Returns the fields as plain data, for a report."""
        return {**asdict(self), "scales": list(self.scales)}


def center(image: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Cuts the middle out of [H, W, C]: this share of both sides, at least one pixel."""
    sides: Sequence[int] = [max(1, round(side * share)) for side in image.shape[:2]]
    top, left = ((full - side) // 2 for full, side in zip(image.shape, sides, strict=False))
    return image[top : top + sides[0], left : left + sides[1]]
