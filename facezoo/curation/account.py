"""What a curation came to, as plain data: the content of curation.json."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from facezoo.curation.cleaned import DROPPED
from facezoo.curation.curate import Curation, Rules
from facezoo.curation.faces import Faces
from facezoo.curation.plan import ACTIONS, DROP, KEEP, MERGE, Decision

FORMAT: Final = 1


def curation_report(
    faces: Faces, curation: Curation, rules: Rules, title: str, model_name: str
) -> dict[str, Any]:
    """Counts what was found, and what is left of the faces.

    Args:
        faces: That were curated.
        curation: What came out.
        rules: That were applied.
        title: For readers.
        model_name: The model that made the embeddings, as its user calls it.
    """
    kinds = Counter((one.action, _kind(one)) for one in curation.decisions)
    return {
        "format": FORMAT,
        "title": title,
        "datasets": _datasets(faces),
        "model": {"name": model_name, "witness": faces.witness},
        "options": asdict(rules),
        "counts": {
            "merged_people": kinds[MERGE, "couple"],
            "dropped_people": kinds[DROP, "couple"] + kinds[DROP, "person"],
            "dropped_pictures": int(np.count_nonzero(curation.cleaned.label == DROPPED)),
            "kept_couples": kinds[KEEP, "couple"],
            "kept_pictures": kinds[KEEP, "picture"],
            "hard": len(curation.hard.rows),
        },
        "by_rule": _by_rule(curation),
        "before": {"num_people": faces.num_people, "num_images": faces.num_images},
        "after": {
            "num_people": len(curation.cleaned.people),
            "num_images": curation.cleaned.num_images,
        },
        "warnings": _warnings(faces),
    }


def changes_anything(curation: Curation) -> bool:
    """Says whether the plan merges or drops anybody or anything."""
    return any(one.action != KEEP for one in curation.decisions)


def _kind(decision: Decision) -> str:
    if decision.subject.file is not None:
        return "picture"
    return "person" if decision.subject.other is None else "couple"


def _datasets(faces: Faces) -> list[Mapping[str, Any]]:
    people = Counter(person.dataset for person in faces.people)
    images = Counter(faces.person(row).dataset for row in range(faces.num_images))
    return [
        {"name": name, "num_people": people[name], "num_images": images[name]} for name in people
    ]


def _by_rule(curation: Curation) -> list[Mapping[str, Any]]:
    """One row for each rule: a decision counts under every rule that has a say in it."""
    counts = Counter((rule, one.action) for one in curation.decisions for rule in one.evidence)
    rules = dict.fromkeys(rule for rule, _ in counts)
    return [{"rule": rule, **{name: counts[rule, name] for name in ACTIONS}} for rule in rules]


def _warnings(faces: Faces) -> list[str]:
    warnings = []
    if single := int(np.count_nonzero(faces.num_images_of() == 1)):
        warnings.append(
            f"{single:,} of {faces.num_people:,} people have one picture: nothing of their own "
            "says whether its label is wrong."
        )
    if faces.hashes is None:
        warnings.append("Equal and nearly equal pictures were not looked for: no hashes.")
    return warnings
