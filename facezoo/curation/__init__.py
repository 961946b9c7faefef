"""Curation: finds what would spoil a model: duplicate people, wrong labels, poor images."""

from facezoo.curation.faces import Faces, Person
from facezoo.curation.plan import (
    DROP,
    KEEP,
    MERGE,
    Decision,
    Finding,
    Subject,
    decide,
    read_plan,
    write_plan,
)

__all__ = [
    "DROP",
    "KEEP",
    "MERGE",
    "Decision",
    "Faces",
    "Finding",
    "Person",
    "Subject",
    "decide",
    "read_plan",
    "write_plan",
]
