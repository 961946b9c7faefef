"""What is evaluated: anything that turns pictures into unit embeddings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facezoo.data.images import UnreadableImage, decode_rgb
from facezoo.data.pixels import resize_like_graph
from facezoo.data.test_time import TestTime
from facezoo.evaluation.baselines import BASELINES

# No baseline looks at more.
_BASELINE_SIDE = 64

Picture = NDArray[np.uint8]
Embed = Callable[[Sequence[Picture]], NDArray[np.float32]]


@dataclass(frozen=True)
class System:
    """A model or a baseline.

    Args:
        name: In words.
        embed: Pictures uint8 [h, w, 3], each of any size, to unit embeddings float32 [N, D].
        model: Where it was loaded from; None for a baseline.
        fingerprint: Of its weights; None for a baseline.
        preprocessing: Fingerprint of its preprocessing; None if it is not known.
        input_size: (height, width) of its input; None if it is not known, or does not matter.
    """

    name: str
    embed: Embed
    model: str | None = None
    fingerprint: str | None = None
    preprocessing: str | None = None
    input_size: tuple[int, int] | None = None

    def facts(self, embedding: NDArray[np.float32]) -> dict[str, Any]:
        """Returns what a report says of it, with the length of its embeddings, [N, D]."""
        return {
            "name": self.name,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "preprocessing": self.preprocessing,
            "embedding_dim": embedding.shape[1],
        }


def baseline_system(key: str) -> System:
    """Makes a system of one of `BASELINES`."""
    baseline = BASELINES[key]

    def embed(views: Sequence[Picture]) -> NDArray[np.float32]:
        same_size = [resize_like_graph(view, _BASELINE_SIDE, _BASELINE_SIDE) for view in views]
        embedding = baseline.embed(np.stack(same_size))
        # An image of one colour has no direction; any will do, if it is the same for all of them.
        embedding[~embedding.any(axis=1)] = embedding.shape[1] ** -0.5
        return embedding

    return System(baseline.name, embed)


def embed_pictures(
    system: System,
    pictures: Iterator[Picture],
    num_pictures: int,
    test_time: TestTime,
    batch_size: int = 64,
) -> NDArray[np.float32]:
    """Embeds pictures, with all their views.

    Args:
        system: By what.
        pictures: uint8 [H, W, 3], read one batch at a time.
        num_pictures: How many.
        test_time: Crop and views.
        batch_size: Views embedded at once.

    Returns:
        Unit float32 [N, D], in order.

    Raises:
        ValueError: An embedding is not finite, or a picture cannot be read.
    """
    embeddings, views, num_views = [], [], 0
    with tqdm(total=num_pictures, desc=system.name, unit="image", disable=None) as bar:
        for picture in pictures:
            shown = test_time.views(picture, system.input_size)
            num_views = len(shown)
            views += shown
            if len(views) >= batch_size:
                embeddings.append(system.embed(views))
                views = []
            bar.update()
    if views:
        embeddings.append(system.embed(views))
    embedding = np.concatenate(embeddings)
    if not np.isfinite(embedding).all():
        raise ValueError(
            f"The embeddings of {system.name} are not finite: its training has diverged, or the "
            "file of its weights is damaged. Train it with a lower learning rate."
        )
    return test_time.combine(embedding.reshape(num_pictures, num_views, -1))


def read_pictures(
    read: Callable[[str], bytes], names: Sequence[str], change: Callable[[Picture], Picture]
) -> Iterator[Picture]:
    """Decodes pictures one after the other.

    Args:
        read: Name to encoded bytes.
        names: Of the pictures.
        change: Applied to each, such as a perturbation.

    Raises:
        ValueError: A picture is damaged; it is named.
    """
    for name in names:
        try:
            yield change(decode_rgb(read(name)))
        except UnreadableImage as error:
            raise ValueError(
                f"{name} is no usable image: {error}. A benchmark without it would be another "
                "benchmark: copy the image again."
            ) from error
