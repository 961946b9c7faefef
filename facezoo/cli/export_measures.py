"""What `export` measures of each form: likeness to Keras, speed, VAL on pairs."""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo import metrics, shapes
from facezoo.data.decode import resize
from facezoo.data.preprocessing import Preprocessing
from facezoo.evaluation.benchmark import Benchmark
from facezoo.evaluation.system import Picture, System
from facezoo.serving.formats import Embed

Image = NDArray[np.float32]
BATCH_SIZES: Final = (1, 8)
_TURNS: Final = 5
_SECONDS_PER_TURN: Final = 0.3


def standardized(pictures: Sequence[Picture], preprocessing: Preprocessing) -> Image:
    """Brings pictures, uint8 [H, W, 3] of any size, to what every form takes: [N, h, w, 3]."""
    pixels = np.stack([resize(picture, preprocessing) for picture in pictures])
    return np.asarray(preprocessing.standardize(pixels))


def likeness(answer: Mapping[str, Image], expected: Mapping[str, Image]) -> dict[str, float]:
    """Compares embeddings of the same pictures.

    Returns:
        `max_difference` of a number of the embedding, and `min_cosine` between the two of one
        picture.
    """
    found, wanted = answer[shapes.EMBEDDING], expected[shapes.EMBEDDING]
    return {
        "max_difference": float(np.max(np.abs(found - wanted))),
        "min_cosine": float(np.min(np.sum(np.float64(found) * wanted, axis=1))),
    }


def images_per_second(embeds: Mapping[str, Embed], image: Image) -> dict[str, dict[str, float]]:
    """Measures how fast each embeds batches of 1 and 8.

    They take turns, so that what else the machine does hits all of them; the median turn counts.

    Args:
        embeds: By name.
        image: One picture or more, repeated to fill a batch.

    Returns:
        Images per second by name and by batch size.
    """
    found: dict[str, dict[str, float]] = {name: {} for name in embeds}
    for size in BATCH_SIZES:
        batch = np.resize(image, (size, *image.shape[1:]))
        rates: dict[str, list[float]] = {name: [] for name in embeds}
        for embed in embeds.values():
            _rate(embed, batch)  # The first calls make room and plans.
        for _ in range(_TURNS):
            for name, embed in embeds.items():
                rates[name].append(_rate(embed, batch))
        for name, values in rates.items():
            found[name][str(size)] = statistics.median(values)
    return found


def _rate(embed: Embed, batch: Image) -> float:
    start, calls = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < _SECONDS_PER_TURN or not calls:
        embed(batch)
        calls += 1
    return calls * len(batch) / elapsed


def verification(
    name: str,
    embed: Embed,
    benchmark: Benchmark,
    preprocessing: Preprocessing,
    far_targets: Sequence[float],
) -> dict[str, Any]:
    """Scores a form on pairs.

    Args:
        name: Of the form, for the progress bar.
        embed: Runs it.
        benchmark: The pairs.
        preprocessing: Of the model.
        far_targets: FARs; those that the impostor pairs do not support are left out.

    Returns:
        `auc`, and `val` by FAR.
    """
    system = System(
        name,
        lambda views: embed(standardized(views, preprocessing))[shapes.EMBEDDING],
        input_size=(preprocessing.height, preprocessing.width),
    )
    pairs = benchmark.score(benchmark.embed(system))
    supported = [one for one in far_targets if metrics.supports_far(one, len(pairs.impostor))]
    return {
        "auc": metrics.auc(pairs.genuine, pairs.impostor),
        "val": {
            f"{one:g}": metrics.val_at_far(pairs.genuine, pairs.impostor, one).val
            for one in supported
        },
    }
