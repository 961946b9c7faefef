"""What `curate` leaves in its folder."""

import csv
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from facezoo.cli.curation_sets import CuratedSet
from facezoo.curation import (
    DROPPED,
    Curation,
    Faces,
    class_map,
    write_plan,
    write_report,
    write_review,
)
from facezoo.data.references import ImageRef

REVIEW: Final = "review.csv"
CLEANED: Final = "cleaned.csv"
HARD: Final = "hard.csv"
_ACCOUNT: Final = "curation.json"
# Last what the others are looked for by: where it stands, all else does.
FILES: Final = (
    "plan.jsonl",
    REVIEW,
    CLEANED,
    HARD,
    "class_map.json",
    "report.html",
    _ACCOUNT,
)
_REVIEW_DIGEST: Final = "review_sha256"
_NO_LISTS: Final = (
    f"There is no {CLEANED} and no {HARD}: these pictures do not lie in files of their own."
)


def check_review(out: Path, reviewed: str | None) -> None:
    """Refuses to replace a review.csv that somebody has worked on, unless it is read first.

    Args:
        out: The folder that is to be written.
        reviewed: The CSV that is read.

    Raises:
        ValueError: It would be lost.
    """
    path, account = out / REVIEW, out / _ACCOUNT
    if not path.is_file() or reviewed and os.path.samefile(path, reviewed):
        return
    try:
        written = json.loads(account.read_text(encoding="utf-8")).get(_REVIEW_DIGEST)
    except (OSError, ValueError, AttributeError):
        written = None
    if _digest(path) != written:
        raise ValueError(
            f"{path} was changed by hand, and would be replaced. Give it with --reviewed={path}, "
            "move it away, or write to another folder with --out."
        )


def write_curation(
    out: Path,
    faces: Faces,
    curation: Curation,
    report: dict[str, Any],
    sets: Sequence[CuratedSet],
) -> None:
    """Writes everything aside, and then puts it in place.

    Args:
        out: The folder; what an earlier curation left there is replaced.
        faces: That were curated.
        curation: What came out.
        report: The content of curation.json; it is given a warning if there are no lists.
        sets: The data sets, for their pictures.

    Raises:
        OSError: A file cannot be written.
    """
    files = {one.manifest.name: one.references for one in sets}
    reference = [files[faces.person(row).dataset][file] for row, file in enumerate(faces.file)]

    def read(row: int) -> bytes | None:
        try:
            return reference[row].read()
        except OSError:
            return None

    with tempfile.TemporaryDirectory(".partial", dir=out) as folder:
        aside = Path(folder)
        write_plan(aside / "plan.jsonl", curation.decisions)
        write_review(aside / REVIEW, curation.decisions)
        _write_json(aside / "class_map.json", class_map(curation.cleaned))
        if any(one.offset for one in reference):
            report["warnings"].append(_NO_LISTS)
        else:
            _write_lists(aside, faces, curation, reference)
        page = aside / "report.html"
        write_report(page, report, faces, curation.decisions, read, curation.hard.rows)
        digest = _digest(aside / REVIEW)
        _write_json(aside / _ACCOUNT, {**report, _REVIEW_DIGEST: digest})
        for name in FILES:
            if (aside / name).is_file():
                os.replace(aside / name, out / name)
            else:
                (out / name).unlink(missing_ok=True)


def _write_lists(
    folder: Path, faces: Faces, curation: Curation, reference: Sequence[ImageRef]
) -> None:
    """Lists what is left, and what is hard, in the form that `facezoo.data.sources` reads."""
    cleaned = curation.cleaned
    several = len({person.dataset for person in faces.people}) > 1

    def line(row: int) -> tuple[str, str]:
        person = cleaned.people[cleaned.label[row]]
        path = os.path.abspath(os.fsdecode(reference[row].path))
        return path, str(person) if several else person.identity

    kept = (row for row in range(faces.num_images) if cleaned.label[row] != DROPPED)
    _write_csv(folder / CLEANED, map(line, kept))
    _write_csv(folder / HARD, map(line, curation.hard.rows.tolist()))


def _write_csv(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    # File names need not be UTF-8.
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "identity"))
        writer.writerows(rows)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
