"""What a curation leaves to read: the plan, a table for review, a page, counts and classes."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from facezoo import curation
from facezoo.curation import Curation, Faces
from pipelines.artifacts import CurationPlan
from pipelines.fingerprints import file_digest
from pipelines.json_files import write_json

PLAN: Final = "plan.jsonl"
REVIEW: Final = "review.csv"
REPORT: Final = "report.html"
FACTS: Final = "curation.json"
CLASSES: Final = "class_map.json"


def write_files(
    plan: CurationPlan,
    faces: Faces,
    found: Curation,
    report: Mapping[str, Any],
    read: Callable[[int], bytes | None],
) -> None:
    """Writes all files of a plan, and its version into the properties.

    Args:
        plan: Its folder is empty.
        faces: All that were judged.
        found: About them.
        report: What `facezoo.curation.curation_report` says of it.
        read: The encoded picture of a row of `faces`.
    """
    curation.write_plan(plan.uri / PLAN, found.decisions)
    curation.write_review(plan.uri / REVIEW, found.decisions)
    curation.write_report(plan.uri / REPORT, report, faces, found.decisions, read, found.hard.rows)
    # Not the classes' version alone: a dropped picture changes what a model has seen of them.
    version = file_digest(plan.uri / PLAN)[:16]
    write_json(plan.uri / FACTS, {**report, "version": version})
    write_json(plan.uri / CLASSES, {**curation.class_map(found.cleaned), "plan": version})
    plan.properties["version"] = version
