"""The report of a curation as one page of HTML."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from numpy.typing import ArrayLike

from facezoo.curation.account import FORMAT
from facezoo.curation.faces import Faces
from facezoo.curation.low_norms import LOW_NORM
from facezoo.curation.plan import Decision
from facezoo.curation.report.album import Album, ReadPicture
from facezoo.curation.report.norms import norm_figure, norm_sheets, sheet
from facezoo.curation.report.sections import make_sections, sort_decisions
from facezoo.pages import write_page

NUM_HARD: Final = 72
_TEMPLATE: Final = (__package__, "curation.html.j2")


def write_report(
    path: str | Path,
    report: Mapping[str, Any],
    faces: Faces,
    decisions: Sequence[Decision],
    read: ReadPicture,
    hard: ArrayLike = (),
) -> None:
    """Writes one self-contained page on which a person looks at what was found.

    It shows the first of each kind and says how many there are; review.csv lists all. Pictures are
    small copies, and only those that are shown are read. Equal input gives equal bytes.

    Args:
        path: Of the page; a file there is replaced.
        report: The content of curation.json.
        faces: That were curated.
        decisions: The plan about them.
        read: Gives the encoded picture of a row of the faces; where it has none, the page says so.
        hard: int [k], rows of the hardest of what is left, the hardest first.

    Raises:
        ValueError: The report, or a decision, is not about these faces.
        OSError: The file cannot be written.
    """
    _check(report, faces)
    album = Album(faces, decisions, read)
    dealt = sort_decisions(decisions)
    rows = [int(row) for row in hard]
    write_page(
        Path(path),
        _TEMPLATE,
        report["title"],
        {"norms": [norm_figure(faces.norm, dealt[LOW_NORM])]},
        report=report,
        options=dict(_flat(report["options"])),
        sections=make_sections(dealt, album),
        norm_actions=Counter(one.action for one in dealt[LOW_NORM]),
        norm_sheets=norm_sheets(album),
        hardest=sheet(rows[:NUM_HARD], album),
        num_hard=len(rows),
    )


def _check(report: Mapping[str, Any], faces: Faces) -> None:
    if report["format"] != FORMAT:
        raise ValueError(f"format must be {FORMAT}. Received: {report['format']!r}.")
    if report["before"]["num_images"] != faces.num_images:
        raise ValueError(
            f"The report speaks of {report['before']['num_images']:,} pictures, but there are "
            f"{faces.num_images:,}. Are they those that were curated?"
        )


def _flat(options: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    """Names options as `--set` does: `people.threshold`."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{start}{name}.")
        else:
            yield f"{start}{name}", value
