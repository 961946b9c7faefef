"""The worst mistakes as pairs of small pictures inside the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facezoo.evaluation.report.accuracy_thresholds import verdicts
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.pages import Picture, small_picture

# Name and encoded bytes (any format that `facezoo.data.images` reads) of both images of a pair.
NamedImage = tuple[str, bytes]
PairPictures = Callable[[int], tuple[NamedImage, NamedImage]]

NUM_WORST = 12


@dataclass(frozen=True)
class WorstPair:
    """A pair that a system takes for what it is not, or nearly so.

    Args:
        number: Its row in the protocol, from 0.
        distance: Squared L2.
        verdict: `"right"`, `"wrong"`, `"open"` or `""`: see `verdicts`.
        pictures: Both images; none where there are no pictures.
    """

    number: int
    distance: float
    verdict: str
    pictures: tuple[Picture, ...]


def worst_pairs(
    scored: ScoredPairs, thresholds: Sequence[float], picture: PairPictures | None
) -> tuple[list[WorstPair], list[WorstPair]]:
    """Finds the impostor pairs of smallest and the genuine pairs of largest distance.

    Args:
        scored: The pairs of one system.
        thresholds: Of its accuracy.
        picture: Shows a pair; None leaves the pictures out.

    Returns:
        `(false accepts, false rejects)`, the worst first, at most 12 of each; the first of equal
        ones in the protocol's order.
    """
    nearest = _smallest(scored.distance, ~scored.same)
    furthest = _smallest(-scored.distance, scored.same)
    return tuple(_describe(scored, pairs, thresholds, picture) for pairs in (nearest, furthest))


def _smallest(value: NDArray, of: NDArray[np.bool_]) -> NDArray[np.intp]:
    pairs = np.flatnonzero(of)
    value = value[pairs]
    if len(value) > NUM_WORST:
        # Sorting millions to show a dozen would take longer than drawing the page.
        near = value <= np.partition(value, NUM_WORST - 1)[NUM_WORST - 1]
        pairs, value = pairs[near], value[near]
    return pairs[np.argsort(value, kind="stable")[:NUM_WORST]]


def _describe(
    scored: ScoredPairs,
    pairs: NDArray[np.intp],
    thresholds: Sequence[float],
    picture: PairPictures | None,
) -> list[WorstPair]:
    distance = scored.distance[pairs]
    said = verdicts(distance, scored.same[pairs], thresholds)
    return [
        WorstPair(int(pair), float(distance[place]), said[place], _pictures(picture, int(pair)))
        for place, pair in enumerate(pairs)
    ]


def _pictures(picture: PairPictures | None, pair: int) -> tuple[Picture, ...]:
    if picture is None:
        return ()
    return tuple(small_picture(name, encoded) for name, encoded in picture(pair))
