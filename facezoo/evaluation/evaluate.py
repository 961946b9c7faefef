"""Scores a model and the baselines beside it on one benchmark: every number of a report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from facezoo.evaluation.benchmark import Benchmark, check_disjoint, unchanged
from facezoo.evaluation.picture_slices import picture_slices
from facezoo.evaluation.quantization import quantization_table
from facezoo.evaluation.robustness import robustness_tables
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.evaluation.system import System, read_pictures
from facezoo.evaluation.threshold_choice import threshold_table
from facezoo.evaluation.verification_report import (
    DEFAULT_OPTIONS,
    ReportOptions,
    report_system,
)
from facezoo.protocols import Protocol

FORMAT: Final = 1
MODEL: Final = "model"
_PEOPLE: Final = "people"
_NAMELESS: Final = "people as far as genuine pairs tell them: the protocol names none"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out.

    Args:
        report: Content of report.json.
        scored: Every pair, by the keys of the report's `systems`.
        thresholds: The table that travels with the model; None without a model that can be bound
            to it, or without other people's pairs to choose thresholds on.
    """

    report: dict[str, Any]
    scored: dict[str, ScoredPairs]
    thresholds: dict[str, Any] | None


def evaluate(
    systems: Mapping[str, System],
    tested: Benchmark,
    chosen_on: Benchmark | None = None,
    options: ReportOptions = DEFAULT_OPTIONS,
    robustness: bool = False,
) -> Evaluation:
    """Scores systems on one benchmark.

    Args:
        systems: By key, one or more; a model has the key `"model"`.
        tested: What is scored.
        chosen_on: Pairs of other people to choose thresholds and the scale of quantisation on.
        options: FARs and intervals.
        robustness: Whether the first system is scored on spoiled pictures as well.

    Raises:
        ValueError: An image is damaged, or the two benchmarks share people.
    """
    if chosen_on is not None:
        check_disjoint(chosen_on.protocol, tested.protocol)
    protocol = tested.protocol
    pictures = read_pictures(tested.images.read, protocol.image, unchanged)
    slices = {**protocol.slices, **picture_slices(protocol, pictures, tested.test_time)}
    report: dict[str, Any] = {"systems": {}}
    scored, thresholds = {}, None
    for number, (key, system) in enumerate(systems.items()):
        embedding = tested.embed(system)
        scored[key] = tested.score(embedding)
        other = None if chosen_on is None else chosen_on.embed(system)
        chosen = None if other is None else (chosen_on.score(other), _words(chosen_on))
        found = report_system(scored[key], protocol.fold, chosen, slices, options)
        report["systems"][key] = system.facts(embedding) | found
        if number:
            continue
        calibration = embedding if other is None else other
        report["quantization"] = quantization_table(embedding, calibration, tested.score, options)
        if robustness:
            threshold = found["accuracy_threshold"]
            report["robustness"] = robustness_tables(
                system, tested.embed, tested.score, threshold, options
            )
        if key == MODEL and chosen is not None and system.preprocessing is not None:
            thresholds = _thresholds(system, tested, scored[key], chosen, options)
    header = {
        "format": FORMAT,
        "title": _title(systems, protocol),
        "contaminated": None,
        "protocol": tested.facts(),
        "options": {
            **tested.test_time.options(),
            **asdict(options),
            "intervals_over": _PEOPLE if protocol.num_people is not None else _NAMELESS,
        },
    }
    return Evaluation({**header, **report, "thresholds": thresholds}, scored, thresholds)


def _title(systems: Mapping[str, System], protocol: Protocol) -> str:
    first = next(iter(systems))
    what = systems[first].name if first == MODEL else "Baselines"
    return f"{what} on {protocol.name}"


def _words(benchmark: Benchmark) -> str:
    protocol = benchmark.protocol
    return (
        f"{protocol.num_genuine:,} genuine and {protocol.num_impostor:,} impostor pairs of "
        f"{protocol.name}"
    )


def _thresholds(
    system: System,
    tested: Benchmark,
    pairs: ScoredPairs,
    chosen: tuple[ScoredPairs, str],
    options: ReportOptions,
) -> dict[str, Any]:
    return threshold_table(
        chosen[0],
        pairs,
        {
            "model": system.fingerprint,
            "preprocessing": tested.test_time.binding(system.preprocessing),
        },
        {"chosen_on": chosen[1], "tested_on": _words(tested)},
        options.far_targets,
        options.num_resamples,
    )
