"""Refuses pairs that are not those that a report speaks of."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from facezoo.evaluation.scored_pairs import ScoredPairs

FORMAT: Final = 1


def check_scored(report: Mapping[str, Any], scored: Mapping[str, ScoredPairs]) -> None:
    """Refuses pairs that cannot be those of the report.

    Raises:
        ValueError: The format is another one; systems are missing, in another order, or share a
            name; or the pairs are not those that the report counts.
    """
    if report["format"] != FORMAT:
        raise ValueError(f"format must be {FORMAT}. Received: {report['format']!r}.")
    if not scored or list(scored) != list(report["systems"]):
        raise ValueError(
            "scored must hold the report's systems in their order: "
            f"{', '.join(report['systems'])}. Received: {', '.join(scored) or 'none'}."
        )
    names = [system["name"] for system in report["systems"].values()]
    if len(set(names)) < len(names):
        raise ValueError(f"Systems must have names of their own. Received: {', '.join(names)}.")
    truth = next(iter(scored.values())).same
    counts = {"num_genuine": np.count_nonzero(truth), "num_impostor": np.count_nonzero(~truth)}
    for name, count in counts.items():
        expected = report["protocol"][name]
        if count != expected:
            raise ValueError(f"The report's {name} is {expected:,}, but {count:,} are scored.")
    for key, pairs in scored.items():
        if not np.array_equal(pairs.same, truth):
            raise ValueError(f"The pairs of {key!r} must be those of the first system, in order.")
