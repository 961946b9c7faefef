"""Does a picture look like the face crops that a model was trained on? Learned from those alone."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.data.crop_features import NUM_FEATURES, crop_features, spoil

FORMAT: Final = 1
# Share of good crops, of people that were not learned from, that is called unlike.
FALSE_ALARMS: Final = 0.01
# With fewer, the lowest hundredth of those that are held out is nobody.
MIN_IMAGES: Final = 200
_SPOILT_PER_CROP: Final = 2
MIN_PEOPLE: Final = 3
_RIDGE: Final = 1.0
# A hundredth of what parts good crops from spoilt ones: the weights stay small enough to store.
_NO_SPREAD: Final = 0.02
_WEIGHT_TYPE: Final = "<f2"


@dataclass(frozen=True, eq=False)
class CropStatistics:
    """A linear score of `crop_features`, in standard deviations around the mean of good crops.

    Args:
        weights: float16 [NUM_FEATURES].
        bias: Is added to the product of weights and features.
        limit: Score below which a picture is unlike the crops.
        num_images: Crops that it was made from.
    """

    weights: NDArray[np.float16]
    bias: float
    limit: float
    num_images: int

    def score(self, images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Scores pictures as they are shown to the model, uint8 [H, W, 3] each; float32 [N]."""
        product = crop_features(images).astype(np.float64) @ self.weights.astype(np.float64)
        return (product + self.bias).astype(np.float32)

    def is_typical(self, images: Iterable[NDArray[np.uint8]]) -> NDArray[np.bool_]:
        """Tells which pictures look like the crops, bool [N]."""
        return self.score(images) >= self.limit

    def get_config(self) -> dict[str, Any]:
        """Returns plain data for a preset; equal statistics give equal text."""
        weights = base64.b64encode(self.weights.astype(_WEIGHT_TYPE).tobytes()).decode("ascii")
        return {
            "format": FORMAT,
            "weights": weights,
            "bias": self.bias,
            "limit": self.limit,
            "num_images": self.num_images,
            "false_alarms": FALSE_ALARMS,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "CropStatistics":
        """Reads what `get_config` returned.

        Raises:
            ValueError: It is something else, or of another version.
        """
        try:
            if config["format"] != FORMAT:
                raise ValueError(f"format {config['format']}")
            data = base64.b64decode(config["weights"], validate=True)
            weights = np.frombuffer(data, _WEIGHT_TYPE).astype(np.float16)
            numbers = float(config["bias"]), float(config["limit"])
            if len(weights) != NUM_FEATURES or not np.isfinite([*weights, *numbers]).all():
                raise ValueError(f"{len(weights)} weights, or some that are no numbers")
            return cls(weights, *numbers, int(config["num_images"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"crop_statistics must be format {FORMAT}, {NUM_FEATURES} weights in base64, bias, "
                f"limit and num_images. Received: {error}. Set crop_statistics to null in "
                "preset.json, or train the model anew."
            ) from error


def fit_crop_statistics(
    images: Sequence[NDArray[np.uint8]], label: Sequence[int], seed: int = 0
) -> CropStatistics:
    """Learns to tell crops from the same crops turned, tilted, shifted, wider, tighter, in pieces.

    Ridge regression in closed form on two thirds of the people, three times: the crops of the
    other third, which were not learned from, say which scores good crops have. What is returned is
    the mean of the three.

    Args:
        images: uint8 [H, W, 3] each, as the model is trained on: `MIN_IMAGES` or more.
        label: int [N], whose they are: three people or more.
        seed: Draws thirds and what is done to crops; equal input gives equal statistics.

    Raises:
        ValueError: There are too few images or people.
    """
    label = np.asarray(label)
    random = np.random.default_rng(seed)
    people = random.permutation(np.unique(label))
    if len(images) < MIN_IMAGES or len(people) < MIN_PEOPLE:
        raise ValueError(
            f"What is typical takes {MIN_IMAGES} images and {MIN_PEOPLE} people or more. "
            f"Received: {len(images)} images of {len(people)} people."
        )
    good = crop_features(images)
    again = np.repeat(np.arange(len(images)), _SPOILT_PER_CROP)
    bad = crop_features(spoil(images[row], random) for row in again)
    weights, scores = [], []
    for fold in range(MIN_PEOPLE):
        held_out = np.isin(label, people[fold::MIN_PEOPLE])
        found = _ridge(good[~held_out], bad[~held_out[again]])
        score = good[held_out] @ found
        # Crops that are all one picture have no spread.
        spread = max(score.std(), _NO_SPREAD)
        weights.append(found / spread)
        scores.append((score - score.mean()) / spread)
    mean = np.mean(weights, axis=0).astype(np.float16)
    bias = -float((good @ mean.astype(np.float64)).mean())
    limit = float(np.quantile(np.concatenate(scores), FALSE_ALARMS))
    return CropStatistics(mean, _short(bias), _short(limit), len(images))


def _ridge(good: NDArray[np.float32], bad: NDArray[np.float32]) -> NDArray[np.float64]:
    """The weights that part two sets best in the mean square, each set weighing half."""
    rows = np.concatenate([good, bad]).astype(np.float64)
    side = np.repeat([1.0, -1.0], [len(good), len(bad)])
    weight = np.repeat([0.5 / len(good), 0.5 / len(bad)], [len(good), len(bad)])
    rows -= weight @ rows
    spread = (rows * weight[:, None]).T @ rows
    ridge = _RIDGE * np.trace(spread) / len(spread)
    return np.linalg.solve(spread + ridge * np.eye(len(spread)), (rows * weight[:, None]).T @ side)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
