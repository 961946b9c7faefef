"""Who a face is: candidates in order, a vote, and "unknown" for those who are not enrolled."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.gallery.faces import Faces
from facezoo.gallery.index import EXACT, INDEXES, make_index
from facezoo.metrics.embeddings import check_embedding

NEAREST: Final = "nearest"
MEAN: Final = "mean"
RULES: Final = (NEAREST, MEAN)
_PROBES_AT_ONCE: Final = 2**10


@dataclass(frozen=True)
class IdentifyOptions:
    """How a face is compared with people.

    Args:
        rule: How far a person is: `"nearest"`, as the person's nearest picture; `"mean"`, as the
            mean of the person's embeddings.
        k: How many of the nearest pictures vote for their person, those within the threshold; 1
            leaves it to the nearest.
        top: How many people to tell of; fewer if there are no more.
        index: Name of the index, see `make_index`.

    Raises:
        ValueError: A field is out of range.
    """

    rule: str = NEAREST
    k: int = 1
    top: int = 5
    index: str = EXACT

    def __post_init__(self) -> None:
        for name, value, known in (("rule", self.rule, RULES), ("index", self.index, INDEXES)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}. Received: {value!r}.")
        for name, value in (("k", self.k), ("top", self.top)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={value}.")
        if self.rule == MEAN and self.k != 1:
            raise ValueError(
                f"Pictures vote, means do not: k must be 1 with rule={MEAN!r}. "
                f"Received: k={self.k}."
            )


@dataclass(frozen=True)
class Candidate:
    """A person whom a face may show.

    Args:
        identity: The person's name.
        distance: Squared L2.
        source: The person's nearest picture; None where the mean was compared with.
        votes: How many of the k nearest pictures are the person's and within the threshold.
    """

    identity: str
    distance: float
    source: str | None
    votes: int


@dataclass(frozen=True)
class Identification:
    """Whom a face shows.

    Args:
        candidates: The people nearest to it, nearest first.
        best: The person with the most votes, the nearer of two with as many.
        identity: The best one's name; None, unknown, if nobody is within the threshold, or if there
            is none.
    """

    candidates: tuple[Candidate, ...]
    best: Candidate
    identity: str | None


class Identifier:
    """Looks for faces among those of a gallery, which it holds in memory as they were.

    Args:
        faces: What `Gallery.faces` returned.
        options: How.

    Call:
        probe: float [Q, D], unit length.
        threshold: Squared L2 distance up to which a face shows the best candidate; None leaves
            everybody unknown.

    Returns:
        A list of Q `Identification`.

    Raises:
        ModuleNotFoundError: The index needs a package that is not installed.
        ValueError: Nobody is enrolled, k exceeds the pictures, or a probe is not of unit length.

    Example:
        >>> faces = Faces(("ann", "bob"), np.array([0, 1]), np.eye(2), ("ann.jpg", "bob.jpg"))
        >>> [one.identity for one in Identifier(faces)([[0.8, 0.6], [-1.0, 0.0]], threshold=1.0)]
        ['ann', None]
    """

    def __init__(self, faces: Faces, options: IdentifyOptions | None = None) -> None:
        faces.check_not_empty()
        self.options = options or IdentifyOptions()
        if self.options.k > len(faces):
            raise ValueError(
                f"k must be at most {len(faces)}, the pictures of the gallery. "
                f"Received: k={self.options.k}."
            )
        self._people = faces.people
        by_mean = self.options.rule == MEAN
        self._label = np.arange(len(faces.people)) if by_mean else faces.label
        self._source: Sequence[str] | None = None if by_mean else faces.source
        compared = faces.templates() if by_mean else faces.embedding
        self._index = make_index(self.options.index, compared)

    @property
    def num_compared(self) -> int:
        """With how many embeddings a face is compared."""
        return len(self._label)

    def __call__(self, probe: ArrayLike, threshold: float | None) -> list[Identification]:
        probe = check_embedding(probe, "probe")
        return [
            self._decided(candidates, threshold)
            for start in range(0, len(probe), _PROBES_AT_ONCE)
            for candidates in self._ranked(probe[start : start + _PROBES_AT_ONCE], threshold)
        ]

    def _ranked(
        self, probe: NDArray[np.float32], threshold: float | None
    ) -> list[tuple[Candidate, ...]]:
        """Asks for more rows until each probe has seen enough people."""
        enough = min(self.options.top, len(self._people))
        found: list[tuple[Candidate, ...]] = [()] * len(probe)
        todo, take = np.arange(len(probe)), max(self.options.k, enough)
        while todo.size:
            take = min(take, self.num_compared)
            answers = zip(todo, *self._index.search(probe[todo], take), strict=True)
            for number, distance, index in answers:
                found[number] = self._people_of(distance, index, threshold)
            few = [len(found[number]) < enough for number in todo]
            todo = todo[few] if take < self.num_compared else todo[:0]
            take *= 4
        return found

    def _people_of(
        self, distance: NDArray[np.float32], index: NDArray[np.int64], threshold: float | None
    ) -> tuple[Candidate, ...]:
        index = index[index >= 0]
        label = self._label[index]
        people, first = np.unique(label, return_index=True)
        # What is farther away is nobody's: it must not outvote the one picture that is near.
        limit = np.inf if threshold is None else threshold
        voters = label[: self.options.k][distance[: len(label)][: self.options.k] <= limit]
        votes = Counter(voters.tolist())
        in_order = np.argsort(first)
        return tuple(
            Candidate(
                self._people[person],
                float(distance[place]),
                self._source and self._source[index[place]],
                votes[int(person)],
            )
            for person, place in zip(people[in_order], first[in_order], strict=True)
        )

    def _decided(
        self, candidates: tuple[Candidate, ...], threshold: float | None
    ) -> Identification:
        # Of several with as many votes, max returns the first, which is the nearest.
        best = max(candidates, key=lambda candidate: candidate.votes)
        is_near = threshold is not None and best.distance <= threshold
        shown = candidates[: self.options.top]
        return Identification(shown, best, best.identity if is_near else None)


def strangers_let_in(far: float, num_compared: int) -> float:
    """Share of searches of strangers that name somebody, if each comparison errs by itself.

    `1 - (1 - far) ** num_compared`, about `num_compared * far` while that is small.

    Example:
        >>> round(strangers_let_in(1e-3, 400), 2)
        0.33
    """
    return 1.0 - (1.0 - far) ** num_compared
