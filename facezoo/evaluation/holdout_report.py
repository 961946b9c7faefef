"""The paper's own protocol as plain data: systems scored on all pairs of several splits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.data.test_time import TestTime
from facezoo.evaluation.benchmark import unchanged
from facezoo.evaluation.evaluate import FORMAT, MODEL
from facezoo.evaluation.holdout import IDENTITY, Halves, holdout_splits
from facezoo.evaluation.holdout_people import HoldoutPeople
from facezoo.evaluation.holdout_scores import Counted, score_splits, sort_splits
from facezoo.evaluation.system import System, embed_pictures, read_pictures
from facezoo.metrics import DistanceHistogram, LabelledRows, PairMatrix

KIND: Final = "holdout"


@dataclass(frozen=True)
class HoldoutOptions:
    """How people are dealt into splits, and what is reported.

    Args:
        far_targets: FARs at which VAL is reported; one that the impostor pairs of a split do not
            support is reported as refused.
        allow_few: Reports those too.
        num_splits: 2 or more.
        disjoint: What no two splits share: `"identity"`, or `"image"` as in the paper.
        seed: Decides the deal.

    Raises:
        ValueError: A FAR is out of range.
    """

    far_targets: tuple[float, ...] = (1e-3,)
    allow_few: bool = False
    num_splits: int = 5
    disjoint: str = IDENTITY
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "far_targets", tuple(self.far_targets))
        if not all(0.0 < target < 1.0 for target in self.far_targets):
            raise ValueError(f"FARs must be between 0 and 1. Received: {list(self.far_targets)}.")

    def deal(self, label: NDArray) -> list[Halves]:
        """Deals images into splits, each with pairs of both kinds.

        Args:
            label: int [N], the person of each image.

        Raises:
            ValueError: The people do not suffice.
        """
        splits = holdout_splits(label, self.num_splits, self.disjoint, self.seed)
        for number, split in enumerate(splits):
            for kind, count in count_kinds(label, split).items():
                if not count:
                    raise ValueError(
                        f"Split {number + 1} of {len(splits)} has no {kind} pair of a row and a "
                        f"column: {sum(map(len, split))} images are too few. Make fewer splits, "
                        "or add people, or images per person."
                    )
        return splits


DEFAULT_OPTIONS: Final = HoldoutOptions()


@dataclass(frozen=True, eq=False)
class HoldoutEvaluation:
    """What came out.

    Args:
        report: Content of report.json.
        histograms: Distances of the pairs of all splits, by the keys of the report's `systems`.
    """

    report: dict[str, Any]
    histograms: dict[str, DistanceHistogram]


def count_kinds(label: NDArray, split: Halves) -> dict[str, int]:
    """Counts the `genuine` and the `impostor` pairs of a split."""
    person = np.unique(label, return_inverse=True)[1]
    rows, columns = (np.bincount(person[half], minlength=len(label)) for half in split)
    num_genuine = int(rows @ columns)
    return {"genuine": num_genuine, "impostor": len(split[0]) * len(split[1]) - num_genuine}


def report_holdout(
    systems: Mapping[str, System],
    people: HoldoutPeople,
    test_time: TestTime,
    options: HoldoutOptions = DEFAULT_OPTIONS,
    batch_size: int = 64,
) -> HoldoutEvaluation:
    """Scores systems on all pairs rows x columns of several splits of people.

    Embeddings are held one system at a time, and of the distances only histograms.

    Args:
        systems: By key, one or more; a model has the key `"model"`.
        people: Who is dealt into splits.
        test_time: Crop and views.
        options: How, and which FARs.
        batch_size: Views embedded at once.

    Raises:
        ValueError: The people do not suffice for so many splits, or embeddings are not finite.

    Source:
        FaceNet, arXiv 1503.03832, sections 4 and 4.1, equations 5 to 7.
    """
    splits = options.deal(people.label)
    reports, histograms = {}, {}
    for key, system in systems.items():
        pictures = read_pictures(people.read, people.picture, unchanged)
        num_images = len(people.picture)
        embedding = embed_pictures(system, pictures, num_images, test_time, batch_size)
        scores, histograms[key] = score_splits(
            _counted(sort_splits(embedding, people.label, splits)),
            options.far_targets,
            options.allow_few,
        )
        reports[key] = system.facts(embedding) | scores
    report = {
        "format": FORMAT,
        "kind": KIND,
        "title": f"{_what(systems)} on all pairs of {len(splits)} splits of {people.name}",
        "contaminated": None,
        "protocol": people.facts() | _deal_facts(people.label, splits, options),
        "options": {
            **test_time.options(),
            "far_targets": list(options.far_targets),
            "allow_few": options.allow_few,
        },
        "systems": reports,
    }
    return HoldoutEvaluation(report, histograms)


def _counted(splits: Iterable[tuple[LabelledRows, LabelledRows]]) -> Iterator[Counted]:
    for rows, columns in splits:
        matrix = PairMatrix(rows, columns)
        yield matrix, matrix.histogram()


def _what(systems: Mapping[str, System]) -> str:
    return systems[MODEL].name if MODEL in systems else "Baselines"


def _deal_facts(
    label: NDArray, splits: Sequence[Halves], options: HoldoutOptions
) -> dict[str, Any]:
    counts = [count_kinds(label, split) for split in splits]
    return {
        "num_genuine": sum(one["genuine"] for one in counts),
        "num_impostor": sum(one["impostor"] for one in counts),
        "num_splits": options.num_splits,
        "disjoint": options.disjoint,
        "seed": options.seed,
    }
