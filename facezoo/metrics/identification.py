"""Identification, who of many is this: rank-k, CMC, and TPIR at FPIR for open sets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.embeddings import check_embedding, check_labels, check_same_dim
from facezoo.metrics.targets import check_target
from facezoo.metrics.threads import share_tiles
from facezoo.metrics.verification import val_at_far

# Cosines held at once by a thread: 64 MiB of float32.
_PAIRS_PER_BLOCK: Final = 2**24


@dataclass(frozen=True)
class IdentificationPoint:
    """What a threshold does to searches.

    Args:
        threshold: The best candidate is returned if its distance is at most this.
        tpir: Share of the searches of people in the gallery that return the right person.
        fpir: Share of the searches of other people that return anybody.
    """

    threshold: float
    tpir: float
    fpir: float


@dataclass(frozen=True, eq=False)
class Searches:
    """How searches of a gallery of people ended.

    A person is as far from a probe as the nearest of the person's images in the gallery.

    Args:
        rank: int64 [Q], 1 if the right person is the nearest; a person at the same distance counts
            as nearer, so that chance never helps. 0 if the right person is not in the gallery.
        distance: float32 [Q], of the nearest person, whoever that is.
    """

    rank: NDArray[np.int64]
    distance: NDArray[np.float32]


def search(
    probe: ArrayLike, probe_label: ArrayLike, gallery: ArrayLike, gallery_label: ArrayLike
) -> Searches:
    """Searches a gallery for each probe.

    Args:
        probe: float [Q, D], unit length.
        probe_label: int [Q], the person of each probe, in the gallery or not.
        gallery: float [N, D], unit length, other images than the probes.
        gallery_label: int [N], the person of each image.

    Raises:
        ValueError: An embedding is not of unit length, or shapes do not fit.

    Numerics:
        float32 products, in blocks of probes: memory does not grow with Q.
    """
    probe, gallery = check_embedding(probe, "probe"), check_embedding(gallery, "gallery")
    check_same_dim(probe, gallery)
    probe_label = check_labels(probe_label, len(probe), "probe_label")
    gallery_label = check_labels(gallery_label, len(gallery), "gallery_label")
    order = np.argsort(gallery_label, kind="stable")
    people, first = np.unique(gallery_label[order], return_index=True)
    gallery, num_probes = gallery[order], len(probe)
    rank, cosine = np.zeros(num_probes, np.int64), np.empty(num_probes, np.float32)
    # -1 stands for people who are not in the gallery.
    place = np.searchsorted(people, probe_label)
    place = np.where(np.isin(probe_label, people), place, -1)
    step = max(1, _PAIRS_PER_BLOCK // len(gallery))

    def work(starts: Iterator[int]) -> None:
        for start in starts:
            some = slice(start, start + step)
            by_person = np.maximum.reduceat(probe[some] @ gallery.T, first, axis=1)
            cosine[some] = by_person.max(axis=1)
            own = np.take_along_axis(by_person, place[some, None], axis=1)
            as_near = np.count_nonzero(by_person >= own, axis=1)
            rank[some] = np.where(place[some] < 0, 0, as_near)

    share_tiles(work, range(0, num_probes, step))
    return Searches(rank, np.maximum(2.0 - 2.0 * cosine, 0.0))


def cmc(searches: Searches, num_ranks: int) -> NDArray[np.float64]:
    """Cumulative match characteristic: how often the right person is among the first.

    Args:
        searches: Of a closed set: every probe shows a person of the gallery.
        num_ranks: How many ranks to tell, 1 or more.

    Returns:
        Share of the searches whose rank is 1, up to 2, .. up to `num_ranks`.

    Raises:
        ValueError: A probe shows somebody who is not in the gallery, or a number is out of range.

    Source:
        P. J. Phillips et al., "The FERET evaluation methodology for face-recognition algorithms",
        PAMI 22 (2000), page 1090 ff.
    """
    if num_ranks < 1:
        raise ValueError(f"num_ranks must be at least 1. Received: {num_ranks}.")
    strangers = np.count_nonzero(searches.rank == 0)
    if strangers:
        raise ValueError(
            "Ranks need every probe's person in the gallery. Received: "
            f"{strangers} of {len(searches.rank)} probes of others. Take tpir_at_fpir for them."
        )
    at_rank = np.bincount(searches.rank, minlength=num_ranks + 1)[1 : num_ranks + 1]
    return np.cumsum(at_rank) / len(searches.rank)


def rank_k(searches: Searches, k: int = 1) -> float:
    """Share of the searches of a closed set whose right person is among the first k.

    Raises:
        ValueError: A probe shows somebody who is not in the gallery, or k is below 1.
    """
    return float(cmc(searches, k)[-1])


def tpir_at_fpir(searches: Searches, target: float, allow_few: bool = False) -> IdentificationPoint:
    """The most generous threshold at which strangers are let in no more often than the target.

    Args:
        searches: Of an open set: some probes show people of the gallery, some show others, at
            least `10 / target`.
        target: Highest FPIR allowed, in [0, 1].
        allow_few: Takes fewer searches of strangers too; the result then says little.

    Raises:
        ValueError: `target` is out of range, the searches are too few for it, or one of the two
            kinds of searches is missing.

    Source:
        P. Grother, M. Ngan and K. Hanaoka, NISTIR 8271 (2019), whose FNIR at rank 1 is 1 - TPIR.
    """
    mated = searches.rank > 0
    num_strangers = np.count_nonzero(~mated)
    if not num_strangers or num_strangers == len(mated):
        raise ValueError(
            "An open set needs probes of people in the gallery and probes of others. "
            f"Received: {len(mated) - num_strangers} of the former, {num_strangers} of the latter."
        )
    check_target(target, num_strangers, allow_few, "FPIR", "searches of strangers")
    distance = searches.distance
    point = val_at_far(distance[mated], distance[~mated], target, allow_few=True)
    found = (searches.rank[mated] == 1) & (distance[mated] <= point.threshold)
    return IdentificationPoint(point.threshold, float(found.mean()), point.far)
