"""A protocol and its images, ready to score any number of systems the same way."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facezoo.data.test_time import TestTime
from facezoo.evaluation.scored_pairs import ScoredPairs, people_of
from facezoo.evaluation.system import Picture, System, embed_pictures, read_pictures
from facezoo.evaluation.templates import pair_distances
from facezoo.protocols import ImageSource, Protocol


def unchanged(picture: Picture) -> Picture:
    """Leaves a picture as it is."""
    return picture


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Pairs, where their images lie, and what is done to them at test time.

    Args:
        protocol: The pairs.
        images: Where the images come from; every one that the protocol names must be there.
        test_time: Crop and views.
        batch_size: Views embedded at once.

    Raises:
        ValueError: Images are missing; they are listed.
    """

    protocol: Protocol
    images: ImageSource
    test_time: TestTime = TestTime()
    batch_size: int = 64

    def __post_init__(self) -> None:
        self.images.check(self.protocol.image)

    def embed(
        self, system: System, change: Callable[[Picture], Picture] = unchanged
    ) -> NDArray[np.float32]:
        """Embeds every image of the protocol once, unit float32 [N, D], in its order.

        Args:
            system: By what.
            change: Applied to every picture before the crop, such as a perturbation.
        """
        names = self.protocol.image
        pictures = read_pictures(self.images.read, names, change)
        return embed_pictures(system, pictures, len(names), self.test_time, self.batch_size)

    def score(self, embedding: NDArray[np.float32]) -> ScoredPairs:
        """Scores every pair of the protocol, in its order."""
        protocol = self.protocol
        return ScoredPairs(
            pair_distances(protocol, embedding),
            protocol.same,
            people_of(protocol.person, protocol.pair, protocol.same),
        )

    def pictures(self, pair: int) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
        """Returns name and encoded bytes of the first image of both templates of a pair."""
        one, other = (self._first_picture(template) for template in self.protocol.pair[pair])
        return one, other

    def _first_picture(self, template: int) -> tuple[str, bytes]:
        protocol = self.protocol
        first, end = np.searchsorted(protocol.member_template, (template, template + 1))
        name = protocol.image[protocol.member_image[first]]
        more = f" (first of {end - first} images)" if end - first > 1 else ""
        return name + more, self.images.read(name)

    def facts(self) -> dict[str, Any]:
        """Returns the protocol's part of a report."""
        protocol = self.protocol
        return {
            "name": protocol.name,
            **protocol.counts(),
            "set_rule": protocol.set_rule,
            "digest": protocol.digest(),
        }


def check_disjoint(chosen_on: Protocol, tested: Protocol) -> None:
    """Refuses pairs to choose a threshold on that share people with those that are tested.

    People are told by their images, and by the folders that these lie in.

    Raises:
        ValueError: They share some; the first are named.
    """
    for what, of in (("images", str), ("folders", lambda name: str(PurePosixPath(name).parent))):
        names = [{of(name) for name in protocol.image} for protocol in (chosen_on, tested)]
        # Images that lie side by side say nothing about people.
        shared = sorted((names[0] & names[1]) - {"."})
        if shared:
            raise ValueError(
                f"{chosen_on.name} and {tested.name} share {len(shared):,} {what}, such as "
                f"{', '.join(shared[:5])}: a threshold chosen on the one would have seen the "
                "other. Choose it on other people."
            )
